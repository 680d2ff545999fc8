import { cancelledByContext, deadlinePassed } from '../call/cancellation.js';
import type { CallContext } from '../call/context.js';
import { EndWatch } from '../call/end-watch.js';
import type { Failure } from '../call/outcome.js';

/**
 * Waits for the end that a context sets which was put in the place of the client's.
 *
 * @param deadline the client's, which has a timer
 */
export function watchContext(
  context: CallContext,
  deadline: number | undefined,
  onEnd: (failure: Failure) => void,
): EndWatch {
  const own = context.deadline === deadline ? undefined : context.deadline;
  return new EndWatch(
    { signals: context.ownSignals, deadline: own },
    () => onEnd({ error: deadlinePassed(), reason: 'deadline' }),
    () => onEnd({ error: cancelledByContext(), reason: 'interceptor' }),
  );
}
