import { COMPARE_LIMITS } from '../defaults.js';
import { type Answer, MEMORY_IS_FULL } from './answer.js';
import { endDifferences, headerDifferences, isSamePlace, isWhole } from './block-differences.js';
import {
  isSameMessage,
  type MessageFinding,
  type MessageSide,
  type MessageSides,
} from './message-comparison.js';
import { shownText } from './shown.js';
import type { ResponseDifference } from './verdict.js';

/** What came of a pair. */
export type Decision =
  | { readonly result: 'same' }
  | ({ readonly result: 'different' | 'noise' } & ResponseDifference)
  | { readonly result: 'inconclusive'; readonly reason: string };

/** Who says what is noise: an answer; nobody, as `none` is wanted; or nobody, as it is `missing` among the destinations. */
export type Baseline = Answer | 'none' | 'missing';

/** What a {@link Pair} needs of the comparison that it is in. */
export interface PairOwner {
  /** The fields that are compared. */
  readonly names: readonly string[];
  readonly primary: Answer;
  compareMessages(sides: MessageSides): MessageFinding | Promise<MessageFinding>;
  onDecision(pair: Pair, decision: Decision): void;
  /** {@link Pair.advance} may have more to do. */
  onReady(): void;
  onError(error: unknown): void;
}

type Stage =
  /** Their response headers are compared next. */
  | 'headers'
  /** The messages at the cursor. */
  | 'messages'
  /** These are being inflated. */
  | 'inflating'
  /** Status, number of messages and trailers: both have come to their ends. */
  | 'ends'
  /** They differ. Which says something only if both come to their ends: an answer that is cut off is no answer. */
  | 'differing'
  | 'decided';

/** Whether a pair can go on at once. */
type Step = 'on' | 'wait';

const NO_BASELINE = 'the answers differ, and whether that is noise the baseline does not say';

/** The primary's answer and another one, side by side. */
export class Pair {
  readonly other: Answer;
  /** The index of the message that is compared next. */
  cursor = 0;
  readonly #owner: PairOwner;
  readonly #baseline: () => Baseline;
  #stage: Stage = 'headers';
  /** The first difference where the baseline differs, too. */
  #noise: ResponseDifference | undefined;
  /** The first one where it does not. */
  #difference: ResponseDifference | undefined;

  /** @param baseline asked when there is a difference: by then all destinations are known */
  constructor(owner: PairOwner, other: Answer, baseline: () => Baseline) {
    this.#owner = owner;
    this.other = other;
    this.#baseline = baseline;
  }

  get isDecided(): boolean {
    return this.#stage === 'decided';
  }

  /** Whether it looks at the messages of an answer. */
  looksAt(answer: Answer): boolean {
    if (this.#difference !== undefined) return false;
    return answer === this.#owner.primary || answer === this.other || answer === this.#baseline();
  }

  /** Compares what there is to compare. */
  advance(): void {
    if (this.#giveUpIfCut('primary’s', this.#owner.primary)) return;
    if (this.#giveUpIfCut('destination’s', this.other)) return;
    while (this.#step() === 'on');
    if (this.#stage !== 'differing' && !this.isDecided) this.#limitOutstanding();
  }

  giveUp(reason: string): void {
    const before = this.#difference === undefined ? '' : `they differ in ${placeOf(this.#difference)}, but `;
    this.#decide({ result: 'inconclusive', reason: shownText(`${before}${reason}`) });
  }

  #giveUpIfCut(whose: string, { end }: Answer): boolean {
    if (end?.name === 'cut') this.giveUp(`the ${whose} answer was cut off: ${end.reason}`);
    return this.isDecided;
  }

  #step(): Step {
    switch (this.#stage) {
      case 'headers':
        return this.#compareHeaders();
      case 'messages':
        return this.#compareMessages();
      case 'ends':
        return this.#compareEnds();
      case 'differing':
        return this.#tellDifference();
      default:
        return 'wait';
    }
  }

  #compareHeaders(): Step {
    const { primary, names } = this.#owner;
    const { other } = this;
    if (names.length > 0) {
      if (!hasBegun(primary) || !hasBegun(other)) return 'wait';
      const { headers } = primary;
      // Those of a Trailers-Only response are compared at the end.
      if (headers !== undefined && other.headers !== undefined) {
        const step = this.#judge(headerDifferences(headers, other.headers, names), (baseline) => {
          const fields = baseline.headers ?? (isWhole(baseline) ? baseline.end.trailers : undefined);
          return fields === undefined ? undefined : headerDifferences(headers, fields, names);
        });
        if (step === 'wait') return step;
      }
    }
    this.#stage = 'messages';
    return 'on';
  }

  #compareMessages(): Step {
    const { primary } = this.#owner;
    const { cursor, other } = this;
    const ofPrimary = primary.message(cursor);
    const ofOther = other.message(cursor);
    if (ofPrimary === undefined || ofOther === undefined) {
      if (!isWhole(primary) || !isWhole(other)) return 'wait';
      this.#stage = 'ends';
      return 'on';
    }
    if (isSameMessage(ofPrimary, ofOther, primary.encoding === other.encoding)) {
      this.cursor++;
      return 'on';
    }
    const baseline = this.#baselineAtCursor();
    if (baseline === 'wait') return baseline;
    const left = kept(primary, cursor);
    const right = kept(other, cursor);
    if (left === undefined || right === undefined || baseline === undefined) {
      this.giveUp(MEMORY_IS_FULL);
      return 'wait';
    }
    const isWanted = (): boolean => this.#stage === 'inflating';
    return this.#examine({ index: cursor, primary: left, other: right, baseline, isWanted });
  }

  /** What the baseline has there; `wait` if that is not known yet, or never; undefined if it cannot be held. */
  #baselineAtCursor(): MessageSides['baseline'] | 'wait' | undefined {
    const baseline = this.#baseline();
    if (baseline === 'none') return baseline;
    if (baseline !== 'missing') {
      if (baseline.message(this.cursor) !== undefined) return kept(baseline, this.cursor);
      if (isWhole(baseline)) return 'ended';
      if (baseline.end === undefined) return 'wait';
    }
    this.giveUp(NO_BASELINE);
    return 'wait';
  }

  #examine(sides: MessageSides): Step {
    const finding = this.#owner.compareMessages(sides);
    if (!(finding instanceof Promise)) return this.#onFinding(finding);
    this.#stage = 'inflating';
    finding
      .then((inflated) => {
        if (this.#stage !== 'inflating') return;
        this.#stage = 'messages';
        this.#onFinding(inflated);
        this.#owner.onReady();
      })
      .catch((error) => this.#owner.onError(error));
    return 'wait';
  }

  #onFinding(finding: MessageFinding): Step {
    // Looking at it, the application may have ended the call.
    if (this.isDecided) return 'wait';
    switch (finding.name) {
      case 'unknown':
        this.giveUp(`message ${this.cursor}: ${finding.reason}`);
        return 'wait';
      case 'different':
        return this.#differ(finding.difference);
      case 'noise':
        this.#noise ??= finding.difference;
    }
    this.cursor++;
    return 'on';
  }

  #compareEnds(): Step {
    const { primary, names } = this.#owner;
    const { other } = this;
    if (!isWhole(primary) || !isWhole(other)) return 'wait';
    const step = this.#judge(endDifferences(primary, other, names), (baseline) =>
      isWhole(baseline) ? endDifferences(primary, baseline, names) : undefined,
    );
    if (step === 'wait') return step;
    this.#decide(this.#noise === undefined ? { result: 'same' } : { result: 'noise', ...this.#noise });
    return 'wait';
  }

  /**
   * Decides for the first of these differences that is none of the baseline's.
   *
   * @param differencesOf those of the baseline at such places; undefined if it has not come there
   */
  #judge(
    differences: readonly ResponseDifference[],
    differencesOf: (baseline: Answer) => readonly ResponseDifference[] | undefined,
  ): Step {
    if (differences.length === 0) return 'on';
    const baseline = this.#baseline();
    let noise: readonly ResponseDifference[] | undefined;
    if (baseline === 'none') noise = [];
    else if (baseline !== 'missing') noise = differencesOf(baseline);
    if (noise === undefined) {
      if (baseline === 'missing' || (baseline as Answer).end !== undefined) this.giveUp(NO_BASELINE);
      return 'wait';
    }
    const real = differences.find((difference) => !noise.some((other) => isSamePlace(difference, other)));
    if (real !== undefined) return this.#differ(real);
    this.#noise ??= differences[0];
    return 'on';
  }

  #differ(difference: ResponseDifference): Step {
    this.#difference = difference;
    this.#stage = 'differing';
    return this.#tellDifference();
  }

  #tellDifference(): Step {
    const difference = this.#difference!;
    if (isWhole(this.#owner.primary) && isWhole(this.other))
      this.#decide({ result: 'different', ...difference });
    return 'wait';
  }

  #limitOutstanding(): void {
    const { maxOutstanding } = COMPARE_LIMITS;
    const baseline = this.#baseline();
    const most = Math.max(
      this.#owner.primary.count,
      this.other.count,
      typeof baseline === 'string' ? 0 : baseline.count,
    );
    if (most - this.cursor > maxOutstanding) {
      this.giveUp(`one answer is more than ${maxOutstanding} messages ahead of another`);
    }
  }

  #decide(decision: Decision): void {
    if (this.isDecided) return;
    this.#stage = 'decided';
    this.#owner.onDecision(this, decision);
  }
}

function hasBegun({ headers, end }: Answer): boolean {
  return headers !== undefined || end !== undefined;
}

function placeOf(difference: ResponseDifference): string {
  if (difference.at === 'message') return `message ${difference.index}`;
  return 'name' in difference ? `${difference.at}, ${difference.name}` : difference.at;
}

function kept(answer: Answer, index: number): MessageSide | undefined {
  const summary = answer.keep(index);
  return summary === undefined ? undefined : { summary, encoding: answer.encoding };
}
