import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { callStatistics } from '../../lib/admin/index.js';
import type { Message, StreamParameters } from '../../lib/index.js';
import { accessLog } from '../../lib/observe/access-log/index.js';
import { metrics } from '../../lib/observe/metrics/index.js';
import { readSetup } from './node-peer.js';
import type { Transport } from './transports.js';

// What users would write: a director, and with it metadata, statuses, limits and deadlines, which are always on.

const setup = readSetup<{ transport: Transport; peek: boolean; library?: string; observer?: string }>();
const library: typeof import('../../lib/index.js') = await import(setup.library ?? '../../lib/index.js');
const { dial, Server, transparentHandler } = library;
const transport = { transport: setup.transport };
const certificate =
  setup.certificate === undefined
    ? undefined
    : { key: readFileSync(setup.certificate.key), cert: readFileSync(setup.certificate.cert) };
const scheme = certificate === undefined ? 'http' : 'https';
const [primary, ...others] = setup.backendPorts.map((port) => ({
  conn: dial(`${scheme}://127.0.0.1:${port}`, {
    ...transport,
    tls: certificate && { ca: certificate.cert },
  }),
}));
const firstShadow = others.length - setup.shadows;
const parameters: StreamParameters = {
  primary: primary!,
  secondaries: others.slice(0, firstShadow),
  ...(setup.shadows > 0 && { shadows: others.slice(firstShadow) }),
};

/** So that looking at the message is not optimised away. */
let seen = 0;

function look([message]: Message[]): StreamParameters {
  seen += message!.payload[0]!;
  return parameters;
}

const server = new Server({
  ...transport,
  tls: certificate,
  unknownServiceHandler: transparentHandler(
    setup.peek ? async (_context, _method, peeker) => look(await peeker.peek()) : () => parameters,
  ),
});
switch (setup.observer) {
  case 'metrics':
    metrics(server);
    break;
  case 'access-log':
    accessLog(server, { file: join(setup.directory, `${setup.listenPort}.log`) });
    break;
  case 'statistics':
    callStatistics(server);
}
await server.listen({ host: '127.0.0.1', port: setup.listenPort });
process.once('exit', () => process.exitCode ?? seen);
