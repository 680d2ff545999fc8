import type { Failure, FailureReason } from '../../call/outcome.js';
import { Code } from '../../grpc/status.js';
import { STATISTICS_LIMITS } from '../defaults.js';
import type { FailureKind } from './snapshot.js';
import { cut, OTHER } from './texts.js';

/** What fails by these is a connection, and whatever goes there: one kind for all routes and methods. */
const OF_CONNECTIONS: ReadonlySet<FailureReason> = new Set(['backend_connect', 'backend_connection_lost']);

/** What makes failures one kind. */
export type FailureIdentity = Omit<
  FailureKind,
  'count' | 'message' | 'firstMilliseconds' | 'lastMilliseconds'
>;

/** One that is counted, times by the clock of calls. */
interface CountedKind {
  readonly identity: FailureIdentity;
  readonly methods: string[];
  count: number;
  message: string;
  firstAt: number;
  lastAt: number;
}

/** Failures by kind, since when, and how many. */
export class FailureKinds {
  readonly #kinds = new Map<string, CountedKind>();

  /**
   * @param method its label, of which there are not many; and `targets` as in {@link FailureKind}
   * @param at when, by the clock of calls
   */
  add(
    effect: FailureKind['effect'],
    { error, reason }: Failure,
    route: string | undefined,
    method: string,
    targets: readonly string[],
    at: number,
  ): void {
    const code = Code[error.code] ?? 'UNKNOWN';
    const ownRoute = route === undefined || OF_CONNECTIONS.has(reason) ? null : route;
    const kind = this.#kindOf({ effect, reason, code, route: ownRoute, targets, methods: [method] }, at);
    if (at - kind.lastAt > STATISTICS_LIMITS.episodeSeconds * 1000) {
      kind.count = 0;
      kind.firstAt = at;
      kind.methods.length = 0;
    }
    kind.count++;
    kind.lastAt = at;
    kind.message = error.message;
    const { methods } = kind;
    if (methods.length < STATISTICS_LIMITS.maxMethodsOfFailure && !methods.includes(method))
      methods.push(method);
  }

  snapshot(at: number): FailureKind[] {
    return [...this.#kinds.values()].map(({ identity, methods, count, message, firstAt, lastAt }) => ({
      ...identity,
      targets: identity.targets.map(cut),
      methods: [...methods],
      count,
      message: cut(message),
      firstMilliseconds: Math.max(0, at - firstAt),
      lastMilliseconds: Math.max(0, at - lastAt),
    }));
  }

  /**
   * Where all places are taken, and by what was seen of late, it counts under no method's name: clients choose these, and
   * must not drive out what is failing.
   */
  #kindOf(identity: FailureIdentity, at: number): CountedKind {
    const name = identityOf(identity);
    const known = this.#kinds.get(name);
    if (known !== undefined) return known;
    if (this.#kinds.size >= STATISTICS_LIMITS.maxFailures) {
      const [oldestName, oldest] = this.#oldest();
      const isIdle = at - oldest.lastAt > STATISTICS_LIMITS.idleSeconds * 1000;
      if (!isIdle && identity.methods[0] !== OTHER)
        return this.#kindOf({ ...identity, methods: [OTHER] }, at);
      this.#kinds.delete(oldestName);
    }
    const kind: CountedKind = { identity, methods: [], count: 0, message: '', firstAt: at, lastAt: at };
    this.#kinds.set(name, kind);
    return kind;
  }

  #oldest(): [name: string, kind: CountedKind] {
    let oldest: [string, CountedKind] | undefined;
    for (const each of this.#kinds) {
      if (oldest === undefined || each[1].lastAt < oldest[1].lastAt) oldest = each;
    }
    return oldest!;
  }
}

/** A name that is the same for failures of the same kind. */
export function identityOf({ effect, reason, code, route, targets, methods }: FailureIdentity): string {
  const method = OF_CONNECTIONS.has(reason) ? '' : methods[0];
  return `${effect} ${reason} ${code} ${route ?? ''}\n${method}\n${targets.join('\n')}`;
}
