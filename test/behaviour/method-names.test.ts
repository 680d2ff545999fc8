import {
  type CallOutcome,
  Code,
  handleStream,
  type ServerOptions,
  transparentHandler,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { dialled, MESSAGE, METHOD, message, ok, status } from '../support/unary.js';
import { within } from '../support/within.js';

/** What JavaScript lets be given as a method, and what the error calls it. */
const NONSENSE: readonly (readonly [unknown, string])[] = [
  ['/a.B/with space', '"/a.B/with space"'],
  ['/a.B/C\r\nx-injected: 1', '"/a.B/C\\r\\nx-injected: 1"'],
  ['a.B/C', '"a.B/C"'],
  ['/', '"/"'],
  ['', '""'],
  ['/a.B/€', '"/a.B/€"'],
  [7, 'number'],
  [undefined, 'undefined'],
];

async function ask(world: World, options: ServerOptions) {
  const outcome = deferred<CallOutcome>();
  const { port } = await world.serve({ ...options, observer: { onCall: outcome.resolve } });
  const response = await within(15_000, 'the call', world.http2Client(port).call(METHOD, MESSAGE));
  return { response, outcome: await outcome.promise };
}

behaviour("a method that is none is the application's fault, and says so", async (t, world) => {
  const { backends, destinations } = await dialled(world, [ok]);
  const primary = destinations[0]!;
  for (const [method, name] of NONSENSE) {
    const handlers: readonly (readonly [ServerOptions['unknownServiceHandler'], string])[] = [
      [
        transparentHandler((ctx) => ({ primary: { ...primary, ctx: ctx.withMethod(method as string) } })),
        'director',
      ],
      [async (stream) => void (await handleStream(stream, method as string, { primary })), 'handler'],
    ];
    for (const [unknownServiceHandler, reason] of handlers) {
      const { response, outcome } = await ask(world, { unknownServiceHandler });
      const text = `a method must be /service/method, not ${name}`;
      t.strictSame(
        [status(response), decodeURIComponent(message(response) ?? '')],
        [String(Code.UNKNOWN), text],
      );
      t.match(outcome, { failure: { reason, error: { message: text } } });
    }
  }
  t.equal(backends[0]?.sessions.length, 0, 'no backend heard of it');
});
