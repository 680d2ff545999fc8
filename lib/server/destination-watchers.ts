import { tellOnlooker, warn } from '../call/hooks.js';
import type { AttemptOutcome, DestinationWatcher } from '../call/observer.js';
import type { Failure } from '../call/outcome.js';
import type { Metadata } from '../grpc/metadata.js';

/** Several onlookers at one destination as one; the only one as it is. */
export function watchersOf(watchers: readonly DestinationWatcher[]): DestinationWatcher | undefined {
  return watchers.length > 1 ? new DestinationWatchers(watchers) : watchers[0];
}

class DestinationWatchers implements DestinationWatcher {
  readonly editRequestMetadata: DestinationWatcher['editRequestMetadata'];
  readonly #all: readonly DestinationWatcher[];

  constructor(all: readonly DestinationWatcher[]) {
    this.#all = all;
    const editors = all.filter(isEditor);
    if (editors.length > 0) {
      this.editRequestMetadata = (metadata: Metadata) => {
        for (const watcher of editors) tellOnlooker(() => watcher.editRequestMetadata?.(metadata));
      };
    }
  }

  onAttempt(number: number): void {
    for (const watcher of this.#all) tellOnlooker(() => watcher.onAttempt?.(number));
  }

  onAttemptEnd(attempt: AttemptOutcome): void {
    for (const watcher of this.#all) tellOnlooker(() => watcher.onAttemptEnd?.(attempt));
  }

  onEnd(failure: Failure | undefined): void {
    for (const watcher of this.#all) tellOnlooker(() => watcher.onEnd?.(failure));
  }
}

function isEditor(watcher: DestinationWatcher): boolean {
  try {
    return watcher.editRequestMetadata !== undefined;
  } catch (error) {
    warn(error);
    return false;
  }
}
