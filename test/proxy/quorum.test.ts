import { mock } from 'node:test';
import t from 'tap';
import { encodeMessage, transparentHandler } from '../../lib/index.js';
import { handle, MemoryStream, memoryConn } from '../support/memory-conn.js';

const RESPONSE = [':status', '200', 'content-type', 'application/grpc'];
const OK = ['grpc-status', '0'];

class ResetStream extends MemoryStream {
  readonly resets: number[] = [];

  override reset(code?: number): void {
    this.resets.push(code!);
  }
}

t.test('the rest of a quorum has 10 s after the call, and is cut by CANCEL then', async (t) => {
  const [primary, first, second] = [new ResetStream(), new ResetStream(), new ResetStream()];
  const conns = await Promise.all([primary, first, second].map((one) => memoryConn(() => one)));
  const [conn, ...others] = conns.map((one) => ({ conn: one }));
  const told: string[] = [];
  const errHandler = (error: Error): undefined => void told.push(error.message);
  const of = others.map((other) => ({ ...other, errHandler }));
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const client = new MemoryStream();
  handle(
    client,
    transparentHandler(() => ({ primary: conn!, secondaries: { of, need: 1 } })),
  );
  client.receiver.onData(encodeMessage(Buffer.alloc(20)));
  client.receiver.onEnd();
  for (const stream of [primary, first]) {
    stream.receiver.onHeaders(RESPONSE, false);
    stream.receiver.onHeaders(OK, true);
  }
  mock.timers.tick(9_999);
  t.same(second.resets, []);
  mock.timers.tick(1);
  t.same(second.resets, [8]);
  t.same(told, ["memory has not answered within 10000 ms of the call's end"]);
});
