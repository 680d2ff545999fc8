import type { CallObserver, CallWatcher, DestinationWatcher } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { ProcessEvents } from '../support/process-events.js';
import { MESSAGE, METHOD, ok, status } from '../support/unary.js';

// A watcher is wanted at once: an observer that is async, as it comes naturally, gives none, and must end nothing.

behaviour('an observer whose answer is a promise is told so, and ends nothing', async (t, world) => {
  const events = new ProcessEvents(t);
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  const fail = async (): Promise<never> => {
    throw new Error('of the application');
  };
  const seen: string[] = [];
  const observers: readonly [string, CallObserver][] = [
    [
      'onCallStarted',
      { onCallStarted: fail as unknown as () => CallWatcher, onCall: () => seen.push('end') },
    ],
    [
      'onDestination',
      {
        onCallStarted: () => ({
          onDestination: fail as unknown as () => DestinationWatcher,
          onEnd: () => seen.push('end'),
        }),
      },
    ],
  ];
  for (const [name, observer] of observers) {
    const { port } = await world.proxy(() => ({ primary: { conn } }), { observer });
    t.equal(status(await world.http2Client(port).call(METHOD, MESSAGE)), '0');
    await events.settled();
    t.strictSame(events.warnings.splice(0), [
      `${name} must not return a promise: nothing waits for it`,
      'of the application',
    ]);
    t.strictSame(seen.splice(0), ['end'], 'what else it has is told');
  }
  t.strictSame(events.fatal, []);
});
