import type { Failure, ShadowResult } from '../call/outcome.js';
import type { ServerCall } from '../server/server-call.js';
import type { OutlivingStream } from './afterlife.js';
import { SHADOW_DEFAULTS } from './defaults.js';
import type { DestinationStream } from './destination-stream.js';
import { expired, lagged } from './failures.js';
import type { MemberBytes } from './member-bytes.js';
import { shadowBytes } from './shadow-bytes.js';
import { resultOf, tellShadowEnd } from './shadow-end.js';

/** One of the secondaries of a quorum. */
export class QuorumMember implements OutlivingStream {
  readonly stream: DestinationStream;
  /** What its end means, once its error handler has said so. */
  verdict: 'none' | 'succeeded' | Failure = 'none';
  readonly #call: ServerCall;
  readonly #bytes: MemberBytes;
  readonly #maxShadowBytes: number;
  #cut: ShadowResult | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #onEnded: (() => void) | undefined;

  constructor(call: ServerCall, stream: DestinationStream, bytes: MemberBytes, maxShadowBytes: number) {
    this.#call = call;
    this.#maxShadowBytes = maxShadowBytes;
    this.stream = stream;
    this.#bytes = bytes;
  }

  get hasEnded(): boolean {
    return this.stream.ended;
  }

  get isConnecting(): boolean {
    return !this.stream.ended && !this.stream.isOpen;
  }

  /** Nobody need wait for it: it has succeeded, or takes what comes. */
  get isAble(): boolean {
    return this.verdict === 'succeeded' || (!this.stream.ended && this.stream.flows);
  }

  /** It is connecting, or has no room. */
  get isBehind(): boolean {
    return !this.stream.ended && !this.stream.flows;
  }

  /** The client waits for it, or would. */
  keepUp(): void {
    this.#bytes.chargeToClient();
  }

  /** The client does not wait for it. */
  leaveBehind(): void {
    this.#bytes.chargeToShadows();
  }

  /** Everybody who is waited for has taken what there was: gives it up if it lags by too much. */
  judgeLag(): void {
    if (!this.#lags) return;
    // A copy for a retry is no lag.
    this.stream.forgetSent();
    if (this.#lags) this.#giveUpForLag();
  }

  /** @param onEnded called at its end, after that of its call */
  mayOutlive(onEnded: () => void): void {
    this.#onEnded = onEnded;
  }

  outlive(): void {
    this.leaveBehind();
    const grace = SHADOW_DEFAULTS.graceMilliseconds;
    this.#graceTimer = setTimeout(() => this.#giveUp('expired', expired(this.stream.target, grace)), grace);
    this.stream.watchEnd();
    if (shadowBytes() > this.#maxShadowBytes) this.#giveUpForLag();
  }

  cancel(reason: Failure): void {
    if (this.stream.ended) return;
    this.#cut = 'cancelled';
    this.stream.cancel(reason);
    this.onStreamEnded();
  }

  onStreamEnded(): void {
    if (this.#onEnded === undefined) return;
    clearTimeout(this.#graceTimer);
    const { outcome } = this.stream;
    tellShadowEnd(this.#call, outcome, this.#cut ?? resultOf(outcome.failure));
    this.#onEnded();
  }

  #giveUp(cut: ShadowResult, failure: Failure): void {
    this.#cut = cut;
    this.stream.giveUp(failure);
  }

  get #lags(): boolean {
    const { bytes } = this.#bytes;
    return bytes > SHADOW_DEFAULTS.maxLagBytes || (bytes > 0 && shadowBytes() > this.#maxShadowBytes);
  }

  #giveUpForLag(): void {
    const why = `${this.#bytes.bytes} bytes wait for it, and ${shadowBytes()} are held for all like it`;
    this.#giveUp('lagged', lagged(this.stream.target, why));
  }
}
