import { adminServer, processSource } from '../../lib/admin/index.js';
import { metrics } from '../../lib/observe/metrics/index.js';
import { behaviour } from '../support/behaviour.js';
import { echo } from '../support/grpc-backend.js';

const METHOD = '/test.Echo/Echo';
const SCRAPES = 200;

behaviour('200 scrapes at once under load are all answered, and fail no call', async (t, world) => {
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const conn = world.dial(backend.port);
  const { server, port } = await world.proxy(() => ({ primary: { conn } }));
  const counted = metrics(server, { methods: () => [METHOD.slice(1)] });
  const admin = adminServer(processSource({ server, metrics: (accept) => counted.text(accept) }));
  t.teardown(() => admin.close());
  const url = `${await admin.start()}metrics`;
  const client = world.grpcClient(port);
  let isScraping = true;
  const load = (async () => {
    let calls = 0;
    for (; isScraping || calls === 0; calls++) t.equal((await client.call(METHOD, ['hello'])).code, 0);
    return calls;
  })();
  const scrapes = await Promise.all(
    Array.from({ length: SCRAPES }, async () => {
      const response = await fetch(url);
      return [response.status, (await response.text()).includes('grpc_server_call_started_total')];
    }),
  );
  isScraping = false;
  t.strictSame(scrapes, new Array(SCRAPES).fill([200, true]));
  const calls = await load;
  const text = await (await fetch(url)).text();
  t.match(text, new RegExp(`grpc_server_call_started_total\\{grpc_method="test.Echo/Echo"\\} ${calls}\n`));
});
