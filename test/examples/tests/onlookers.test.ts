import { Metadata, status } from '@grpc/grpc-js';
import t from 'tap';
import { encodeHealthCheckRequest, encodeHealthCheckResponse } from '../../../lib/grpc/health.js';
import { backend, Example } from '../../support/example.js';
import { freePort } from '../../support/free-port.js';
import { echo } from '../../support/grpc-backend.js';

const METHOD = '/any.Service/Method';
const CHECK = '/grpc.health.v1.Health/Check';

t.jobs = 2;

t.test('calls are counted for Prometheus', { buffered: true }, async (t) => {
  const metricsPort = await freePort();
  const port = await backend(t, { [METHOD]: echo });
  const example = await Example.serve(t, 'metrics', { 50061: port, 9464: metricsPort });
  t.equal((await example.client().call(METHOD, ['message'])).code, status.OK);
  const answer = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  t.match(text, /^grpc_server_call_duration_seconds_count\{.*grpc_status="OK".*\} 1$/m);
  t.match(text, /^grpc_frame_proxy_backend_connections\{backend="files",state="READY"\} 1$/m);
  t.match(text, /^process_cpu_seconds_total/m);
  t.equal((await fetch(`http://127.0.0.1:${metricsPort}/`)).status, 404);
});

t.test(
  "a call makes two spans of its client's trace, of which the backend is told",
  { buffered: true },
  async (t) => {
    const TRACE = '0af7651916cd43dd8448eb211c80319c';
    let told: unknown;
    const port = await backend(t, {
      [METHOD]: (call) => {
        [told] = call.metadata.get('traceparent');
        echo(call);
      },
    });
    const example = await Example.serve(t, 'spans', { 50061: port });
    const metadata = new Metadata();
    metadata.set('traceparent', `00-${TRACE}-b7ad6b7169203331-01`);
    metadata.set('x-tenant', 'acme');
    t.equal((await example.client().call(METHOD, ['message'], metadata)).code, status.OK);
    await example.child.printed(/tenant: 'acme'/);
    const traces = example.child.stdout.matchAll(/traceId: '(.*)'/g);
    t.same(new Set(Array.from(traces, ([, trace]) => trace)), new Set([TRACE]));
    const [, trace, span] = String(told).split('-');
    t.equal(trace, TRACE);
    t.match(example.child.stdout, `id: '${span}'`);
  },
);

t.test('the proxy answers for its own health, until it goes', { buffered: true }, async (t) => {
  const port = await backend(t, {
    [METHOD]: echo,
    [CHECK]: (call) => {
      call.write(encodeHealthCheckResponse('NOT_SERVING'));
      call.end();
    },
  });
  const example = await Example.serve(t, 'health', { 50061: port }, { 'pause(5000)': 'pause(50)' });
  const client = example.client();
  const check = async (service: string) =>
    (await client.call(CHECK, [encodeHealthCheckRequest(service)])).messages;
  t.same(await check(''), [encodeHealthCheckResponse('SERVING')]);
  t.same(await check('any.Service'), [encodeHealthCheckResponse('NOT_SERVING')]);
  const watched = client.call('/grpc.health.v1.Health/Watch', [encodeHealthCheckRequest('')]);
  t.equal((await client.call(METHOD, ['message'])).code, status.OK);
  example.child.signal('SIGTERM');
  t.same(
    (await watched).messages,
    ['SERVING', 'NOT_SERVING'].map((text) => encodeHealthCheckResponse(text as 'SERVING')),
  );
  t.equal(await example.child.ended(), 0);
});

t.test('a program asks a server for its health', { buffered: true }, async (t) => {
  const ask = async (port: number) => {
    const { child } = await Example.run(t, 'client-call', { 50061: port });
    return [await child.ended(), child.stdout, child.stderr];
  };
  const answering = (text: 'SERVING' | 'NOT_SERVING') =>
    backend(t, {
      [CHECK]: (call) => {
        call.on('data', () => call.write(encodeHealthCheckResponse(text)));
        call.on('end', () => call.end());
      },
    });
  t.same(await ask(await answering('SERVING')), [0, 'serving\n', '']);
  t.same(await ask(await answering('NOT_SERVING')), [0, 'not serving\n', '']);
  const [code, , error] = await ask(await freePort());
  t.equal(code, 1);
  t.match(error, /connection refused/);
});
