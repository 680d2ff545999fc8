import t, { type Test } from 'tap';
import { Child } from '../support/child.js';
import { freePort } from '../support/free-port.js';
import { type BidiCall, GrpcBackend } from '../support/grpc-backend.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const WATCH = '/grpc.health.v1.Health/Watch';
const SERVING = Buffer.from([8, 1]);
const LIBRARY = JSON.stringify(new URL('../../lib/index.js', import.meta.url).href);

/** A process that makes a call, prints its code, and is left to end by itself. */
function caller(t: Test, target: string, options: object, callOptions: object = {}): Child {
  const script = `
    import { dial } from ${LIBRARY};
    const conn = dial(${JSON.stringify(target)}, ${JSON.stringify(options)});
    const call = conn.call('${METHOD}', ${JSON.stringify(callOptions)});
    call.end();
    conn.waitForStateChange('CONNECTING').then(({ name }) => console.log(JSON.stringify({ state: name })));
    for await (const _ of call);
    console.log(JSON.stringify({ code: (await call.status).code }));`;
  return Child.node(t, '--input-type=module', '-e', script);
}

for (const transport of ['http2', 'frames'] as const) {
  t.test(
    `a watch of health does not keep the process alive, a call that waits for it does (${transport})`,
    async (t) => {
      const backend = await GrpcBackend.start({
        [METHOD]: (call) => call.end(),
        [WATCH]: (call) => {
          call.on('error', () => {});
          // Long enough for a process that waits for nothing to end.
          setTimeout(() => call.write(SERVING), 50);
        },
      });
      t.teardown(() => backend.destroy());
      const child = caller(t, `127.0.0.1:${backend.port}`, { transport, healthCheck: { service: '' } });
      t.equal(await within(15_000, 'the end of the process', child.ended()), 0, child.stderr);
      t.same(child.lines, [{ state: 'READY' }, { code: 0 }]);
    },
  );

  t.test(`a call that waits for its backend keeps the process alive (${transport})`, async (t) => {
    const port = await freePort();
    const child = caller(t, `127.0.0.1:${port}`, { transport }, { waitForReady: true });
    // From now on it has nothing but the next attempt to wait for.
    await child.line({ state: 'TRANSIENT_FAILURE' });
    const backend = await GrpcBackend.start({ [METHOD]: (call) => call.end() }, {}, port);
    t.teardown(() => backend.destroy());
    t.equal(await within(15_000, 'the end of the process', child.ended()), 0, child.stderr);
    t.same(child.lines, [{ code: 0 }]);
  });
}

t.test("a session of the application's own keeps the process alive for requests of its own", async (t) => {
  const calls: BidiCall[] = [];
  const backend = await GrpcBackend.start({
    [METHOD]: (call) => call.end(),
    '/test.Service/Own': (call) => void calls.push(call),
  });
  t.teardown(() => backend.destroy());
  const child = Child.node(
    t,
    '--input-type=module',
    '-e',
    `
    import http2 from 'node:http2';
    import { toClientConn } from ${JSON.stringify(new URL('../../lib/client/client-conn.js', import.meta.url).href)};
    const session = http2.connect('http://127.0.0.1:${backend.port}');
    const fields = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const own = session.request({ ':path': '/test.Service/Own', ...fields });
    own.end();
    own.resume().on('end', () => {
      console.log(JSON.stringify({ own: true }));
      session.close();
    });
    const call = toClientConn(session).call('${METHOD}');
    call.end();
    for await (const _ of call);
    console.log(JSON.stringify({ code: (await call.status).code }));`,
  );
  await child.line({ code: 0 });
  // Long enough for a process that waits for nothing to end.
  await new Promise((resolve) => setTimeout(resolve, 100));
  calls[0]!.end();
  t.equal(await within(15_000, 'the end of the process', child.ended()), 0, child.stderr);
  t.same(child.lines, [{ own: true }]);
});
