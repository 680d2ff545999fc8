import type { Failure } from '../call/outcome.js';
import { outOfRange, wrongType } from '../port/errors.js';
import type { ServerCall } from '../server/server-call.js';
import { Afterlife } from './afterlife.js';
import type { DestinationStream } from './destination-stream.js';
import type { Destination, SecondaryQuorum } from './director.js';
import { failureOfQuorum } from './failures.js';
import { MemberBytes } from './member-bytes.js';
import { QuorumMember } from './quorum-member.js';

/** Secondaries of which some must succeed, and what they hold of their call. */
export class Quorum {
  readonly #call: ServerCall;
  readonly #need: number;
  readonly #members: QuorumMember[] = [];
  /** The call need not wait for them to begin. */
  #mayBegin = false;
  #primaryHasEnded = false;
  #afterlife: Afterlife | undefined;

  /**
   * @param open makes the stream to one of them
   * @param maxShadowBytes what may be held for those that are left behind, and for the shadows of the process
   * @throws TypeError or RangeError for what is no quorum
   */
  constructor(
    call: ServerCall,
    { of, need }: SecondaryQuorum,
    open: (destination: Destination, bytes: MemberBytes) => DestinationStream,
    maxShadowBytes: number,
  ) {
    if (!Array.isArray(of)) throw wrongType('secondaries.of', 'an array', of);
    if (typeof need !== 'number') throw wrongType('secondaries.need', 'a number', need);
    const destinations = of as readonly Destination[];
    if (!Number.isInteger(need) || need < 1 || need > destinations.length) {
      throw outOfRange('secondaries.need', `an integer from 1 to ${destinations.length}`, need);
    }
    this.#call = call;
    // What the observer hears of them may come after the call, from wherever.
    if (call.observation !== undefined) call.captureScope();
    this.#need = need;
    for (const destination of destinations) {
      const bytes = new MemberBytes(call);
      this.#members.push(new QuorumMember(call, open(destination, bytes), bytes, maxShadowBytes));
    }
  }

  /** Whether the call may begin, as far as it goes by these; true once. */
  takeBeginning(): boolean {
    if (this.#mayBegin) return false;
    this.#mayBegin =
      this.#isHopeless || this.#able >= this.#need || !this.#members.some(({ isConnecting }) => isConnecting);
    return this.#mayBegin;
  }

  /** Whether the client is to wait: some of them are behind, and too few others can go on. */
  get holdsClientBack(): boolean {
    return this.#able < this.#need && !this.#isHopeless && this.#members.some(({ isBehind }) => isBehind);
  }

  /** Whether the call can end, as far as it goes by these: enough have succeeded, or can't any more. */
  get isDecided(): boolean {
    return this.#primaryHasEnded && (this.#isHopeless || this.#succeeded >= this.#need);
  }

  /** What the call fails with, if too few of them have succeeded. */
  get failure(): Failure | undefined {
    if (this.#succeeded >= this.#need) return undefined;
    const failed = this.#members.flatMap(({ stream, verdict }) =>
      typeof verdict === 'string' ? [] : [{ target: stream.target, error: verdict.error }],
    );
    return failed.length === 0 ? undefined : failureOfQuorum(failed);
  }

  onPrimaryEnded(): void {
    this.#primaryHasEnded = true;
  }

  onVerdict(stream: DestinationStream, failure: Failure | undefined): void {
    const member = this.#members.find((one) => one.stream === stream);
    if (member !== undefined) member.verdict = failure ?? 'succeeded';
  }

  /**
   * Who is behind is waited for, or left behind, and given up if it lags by too much.
   *
   * @param mayGoOn nobody holds the client back
   */
  judge(mayGoOn: boolean): void {
    const holds = this.holdsClientBack;
    for (const member of this.#members) {
      if (holds || !member.isBehind) {
        member.keepUp();
      } else {
        member.leaveBehind();
        if (mayGoOn) member.judgeLag();
      }
    }
  }

  /** The call has ended without those that have not, which have all of its request: they may go on. */
  outlive(): void {
    const onEnded = (): void => this.#afterlife?.onEnded();
    this.#afterlife = new Afterlife(this.#call, this.#members);
    for (const member of this.#members) if (!member.hasEnded) member.mayOutlive(onEnded);
    this.#afterlife.begin();
  }

  /** One has ended after its call. */
  onEnded(stream: DestinationStream): void {
    this.#members.find((one) => one.stream === stream)?.onStreamEnded();
  }

  get #able(): number {
    return count(this.#members, ({ isAble }) => isAble);
  }

  get #succeeded(): number {
    return count(this.#members, ({ verdict }) => verdict === 'succeeded');
  }

  /** Too many have failed. */
  get #isHopeless(): boolean {
    return count(this.#members, ({ verdict }) => typeof verdict === 'string') < this.#need;
  }
}

function count(members: readonly QuorumMember[], counts: (member: QuorumMember) => boolean): number {
  let sum = 0;
  for (const member of members) if (counts(member)) sum++;
  return sum;
}
