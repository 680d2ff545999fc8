import { once } from 'node:events';
import http2 from 'node:http2';
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { backend, Example } from '../../support/example.js';
import { echo } from '../../support/grpc-backend.js';
import { collect } from '../../support/grpc-client.js';
import { collectBody } from '../../support/http2-body.js';

const METHOD = '/any.Service/Method';

t.jobs = 2;

t.test('calls that run end well when the proxy goes', { buffered: true }, async (t) => {
  const port = await backend(t, { [METHOD]: echo });
  const example = await Example.serve(t, 'graceful-shutdown', { 50061: port });
  const call = example.client().open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('first'));
  await once(call, 'data');
  example.child.signal('SIGTERM');
  // Nobody is taken in any more.
  while ((await example.client().call(METHOD, ['message'])).code === status.OK);
  call.end(Buffer.from('last'));
  const { code, messages } = await result;
  t.same([code, messages.map(String)], [status.OK, ['first', 'last']]);
  t.equal(await example.child.ended(), 0);
  t.equal(example.child.output, '');
});

t.test('a server of pages takes gRPC calls, too', { buffered: true }, async (t) => {
  const port = await backend(t, { [METHOD]: echo });
  const example = await Example.serve(t, 'attach', { 50061: port });
  const { code, messages } = await example.client().call(METHOD, ['message']);
  t.same([code, messages.map(String)], [status.OK, ['message']]);
  const session = http2.connect(`http://127.0.0.1:${example.port}`);
  const request = session.request({ ':path': '/' });
  t.equal(String((await collectBody(request)).data), 'This is a page.\n');
  session.close();
  example.child.signal('SIGTERM');
  t.equal(await example.child.ended(), 0);
  t.equal(example.child.output, '');
});

t.test('a service is answered by the proxy itself, all others are not', { buffered: true }, async (t) => {
  const port = await backend(t, { [METHOD]: echo });
  const example = await Example.serve(
    t,
    'local-handler',
    { 50061: port },
    { 'setInterval(1000': 'setInterval(10' },
  );
  const client = example.client();
  const shouted = await client.call('/demo.Text/Shout', ['hello', 'world']);
  t.same([shouted.code, shouted.messages.map(String)], [status.OK, ['HELLO', 'WORLD']]);
  const clock = client.open('/demo.Text/Clock');
  const ended = collect(clock);
  clock.end();
  for (let i = 0; i < 3; i++) {
    const [time] = await once(clock, 'data');
    t.match(String(time), /^\d{4}-\d\d-\d\dT/);
  }
  clock.cancel();
  t.equal((await ended).code, status.CANCELLED);
  t.equal((await client.call('/demo.Text/Whisper', [])).code, status.UNIMPLEMENTED);
  t.equal((await client.call(METHOD, ['message'])).code, status.OK);
  t.equal(example.child.output, '');
});
