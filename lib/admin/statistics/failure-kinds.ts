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
  /** The kind that was counted last: where a backend fails, it is the next one's, too. */
  #last: CountedKind | undefined;
  /** When it was last looked for a place that is not used. */
  #lookedAt = 0;

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
    const isOfConnection = OF_CONNECTIONS.has(reason);
    const ownRoute = route === undefined || isOfConnection ? null : route;
    const last = this.#last?.identity;
    const isLast =
      last !== undefined &&
      last.reason === reason &&
      last.code === code &&
      last.effect === effect &&
      last.route === ownRoute &&
      (isOfConnection || last.methods[0] === method) &&
      areSame(last.targets, targets);
    const kind = isLast
      ? this.#last!
      : this.#kindOf({ effect, reason, code, route: ownRoute, targets, methods: [method] }, at);
    this.#last = kind;
    if (at - kind.lastAt > STATISTICS_LIMITS.episodeSeconds * 1000) {
      kind.count = 0;
      kind.firstAt = at;
      kind.methods.length = 0;
    }
    kind.count++;
    kind.lastAt = at;
    kind.message = error.message;
    const label = isOfConnection ? method : kind.identity.methods[0]!;
    const { methods } = kind;
    if (methods.length < STATISTICS_LIMITS.maxMethodsOfFailure && !methods.includes(label)) {
      methods.push(label);
    }
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
   * Where all places are taken, and by what was seen of late, it counts under no method's name, in the place of one of its
   * like: clients choose names, and must not drive out what is failing.
   */
  #kindOf(identity: FailureIdentity, at: number): CountedKind {
    const name = identityOf(identity);
    const known = this.#kinds.get(name);
    if (known !== undefined) return known;
    if (this.#kinds.size >= STATISTICS_LIMITS.maxFailures && !this.#leaveIdle(at)) {
      if (identity.methods[0] !== OTHER) return this.#kindOf({ ...identity, methods: [OTHER] }, at);
      const { reason, code } = identity;
      const alike = this.#oldest((each) => each.reason === reason && each.code === code);
      this.#kinds.delete((alike ?? this.#oldest(() => true)!).name);
    }
    const kind: CountedKind = { identity, methods: [], count: 0, message: '', firstAt: at, lastAt: at };
    this.#kinds.set(name, kind);
    return kind;
  }

  /** Gives up a place that is not used any more, if there is one; once a second, whoever asks. */
  #leaveIdle(at: number): boolean {
    if (at - this.#lookedAt < 1000) return false;
    this.#lookedAt = at;
    const { name, kind } = this.#oldest(() => true)!;
    return at - kind.lastAt > STATISTICS_LIMITS.idleSeconds * 1000 && this.#kinds.delete(name);
  }

  /** Of some kinds that which was seen longest ago. */
  #oldest(isAsked: (identity: FailureIdentity) => boolean): { name: string; kind: CountedKind } | undefined {
    let oldest: { name: string; kind: CountedKind } | undefined;
    for (const [name, kind] of this.#kinds) {
      if (!isAsked(kind.identity)) continue;
      if (oldest === undefined || kind.lastAt < oldest.kind.lastAt) oldest = { name, kind };
    }
    return oldest;
  }
}

function areSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((text, index) => text === others[index]);
}

/** A name that is the same for failures of the same kind. */
export function identityOf({ effect, reason, code, route, targets, methods }: FailureIdentity): string {
  const method = OF_CONNECTIONS.has(reason) ? '' : methods[0];
  return `${effect} ${reason} ${code} ${route ?? ''}\n${method}\n${targets.join('\n')}`;
}
