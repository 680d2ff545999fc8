import { type ClientConn, Code, encodeMessage, type RetryPolicy, type Secondaries } from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { shadowBytes } from '../../lib/proxy/shadow-bytes.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { ErrorCode } from '../support/frame.js';
import { respond } from '../support/http2-backend.js';
import { METHOD, status } from '../support/unary.js';

const POLICY: RetryPolicy = {
  maxAttempts: 3,
  codes: [Code.UNAVAILABLE],
  initialBackoff: 1,
  maxBackoff: 2,
  multiplier: 1,
};
const FIRST = encodeMessage(Buffer.from('first'));
const REST = encodeMessage(Buffer.alloc(20_000, 'x'));
const BODY = Buffer.concat([FIRST, REST]);

/** A backend that refuses, and then fails, so many attempts; and the requests that it has got whole. */
async function failing(world: World, refused: number, failed: number) {
  const bodies: Buffer[] = [];
  let attempts = 0;
  const backend = await world.http2Backend(async ({ stream, body }) => {
    if (++attempts <= refused) {
      stream.close(ErrorCode.REFUSED_STREAM);
      return;
    }
    bodies.push((await body()).data);
    if (bodies.length > failed) {
      respond(stream);
    } else {
      const trailersOnly = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' };
      stream.respond(trailersOnly, { endStream: true });
    }
  });
  return { conn: world.dial(backend.port), bodies };
}

const GROUPS: Readonly<Record<string, (conn: ClientConn) => Secondaries>> = {
  secondary: (conn) => [{ conn }],
  member: (conn) => ({ of: [{ conn }], need: 1 }),
};

for (const [name, secondariesOf] of Object.entries(GROUPS)) {
  behaviour(`a primary that is tried again: a ${name} and shadows get the request once`, async (t, world) => {
    const [primary, secondary, shadow, other] = [
      await failing(world, 1, 2),
      await failing(world, 1, 0),
      await failing(world, 1, 0),
      await failing(world, 0, 0),
    ];
    const msg = Buffer.from('instead');
    const { port } = await world.proxy(async (_ctx, _method, peeker) => {
      await peeker.peek();
      return {
        primary: { conn: primary.conn },
        secondaries: secondariesOf(secondary.conn),
        shadows: [{ conn: shadow.conn }, { conn: other.conn, msg }],
        callOptions: { retry: POLICY },
      };
    });
    t.equal(status(await world.http2Client(port).call(METHOD, BODY)), '0');
    await eventually('all have got it', () => shadow.bodies.length > 0 && other.bodies.length > 0);
    await eventually('nothing is held', () => heldBytes() === 0 && shadowBytes() === 0);
    t.ok(primary.bodies.every((body) => body.equals(BODY)));
    t.same(
      [primary, secondary, shadow, other].map(({ bodies }) => bodies.length),
      [3, 1, 1, 1],
    );
    t.ok(secondary.bodies[0]!.equals(BODY));
    t.ok(shadow.bodies[0]!.equals(BODY));
    t.ok(other.bodies[0]!.equals(Buffer.concat([encodeMessage(msg), REST])));
  });
}
