import type { Socket } from 'node:net';
import { CallContext } from '../../lib/call/context.js';
import type { CallObserver, RunningCall } from '../../lib/call/observer.js';
import type { CallOutcome, DestinationOutcome, Failure } from '../../lib/call/outcome.js';
import type { ObservedServer } from '../../lib/observe/metrics/index.js';

const TARGET = 'http://backend:50051';

interface Ending {
  /** How the backend answered; undefined: OK. */
  readonly failure?: Failure;
  readonly milliseconds?: number;
  readonly destinations?: readonly DestinationOutcome[];
}

/** A server whose calls a test makes up. */
export class FakeServer implements ObservedServer {
  readonly runningCalls: RunningCall[] = [];
  observer: CallObserver = {};
  now = Date.now() + 1000;
  /** Called when a call's end has been told, and it is still among those that run. */
  onEnded = (): void => {};

  observe(observer: CallObserver): void {
    this.observer = observer;
  }

  /** A call that a backend answers. */
  call(path: string, ending: Ending = {}): void {
    this.begin(path)(ending);
  }

  /** A call that has begun; returns what ends it. */
  begin(path: string, messages = 0): (ending?: Ending) => void {
    const headers = [':method', 'POST', ':path', path];
    const context = CallContext.ofRequest(path, headers, {} as Socket, undefined);
    const running: RunningCall = {
      method: path,
      context,
      route: undefined,
      startedAt: this.now++,
      headersMilliseconds: undefined,
      messagesReceived: messages,
      messagesSent: messages,
      bytesReceived: 0,
      bytesSent: 0,
      destinations: [],
      shadows: [],
      state: 'streaming',
    };
    const watcher = this.observer.onCallStarted?.(running);
    const destination = watcher?.onDestination?.({ role: 'primary', target: TARGET });
    destination?.onAttempt?.(1);
    this.runningCalls.push(running);
    return ({ failure, milliseconds = 1, destinations } = {}) => {
      const attempt = {
        number: 1,
        failure,
        durationMilliseconds: milliseconds,
        bytesSent: 0,
        bytesReceived: 0,
      };
      destination?.onAttemptEnd?.(attempt);
      const outcome: CallOutcome = {
        ...running,
        failure,
        durationMilliseconds: milliseconds,
        destinations: destinations ?? [{ role: 'primary', target: TARGET, attempts: 1, failure }],
      };
      // In the order of the server's.
      watcher?.onEnd?.(outcome);
      this.onEnded();
      this.runningCalls.splice(this.runningCalls.indexOf(running), 1);
    };
  }
}
