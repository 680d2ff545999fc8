import { tellOnlooker, warn } from '../../call/hooks.js';
import type { Failure } from '../../call/outcome.js';
import { Code, StatusError } from '../../grpc/status.js';
import type { HeaderList } from '../../port/headers.js';
import type { ResponseWatcher, Scope, WatchedResponse } from '../response-observer.js';
import type { ComparingMemory } from './allowance.js';
import { Answer, type AnswerEnd } from './answer.js';
import { fieldsOf } from './fields.js';
import { compareMessages, type MessageFinding, type MessageSides } from './message-comparison.js';
import { type Decision, Pair, type PairOwner } from './pair.js';
import type { CompareSettings } from './settings.js';
import type { ComparedResponse, ResponseVerdict } from './verdict.js';

/** Compares the answers of one call. */
export class Comparison implements PairOwner {
  readonly primary: Answer;
  readonly #settings: CompareSettings;
  readonly #memory: ComparingMemory;
  readonly #method: string;
  readonly #inScope: Scope;
  /** Those that are not decided, and whose answers they compare with the primary's. */
  readonly #pairs = new Map<Pair, ComparedResponse>();
  readonly #answers: Answer[] = [];
  #baseline: Answer | undefined;
  #state: 'new' | 'idle' | 'advancing' | 'again' = 'new';
  #hasPrimary = false;

  constructor(settings: CompareSettings, memory: ComparingMemory, { method, inScope }: WatchedResponse) {
    this.#settings = settings;
    this.#memory = memory;
    this.#method = method;
    this.#inScope = inScope;
    this.primary = this.#newAnswer();
  }

  get names(): readonly string[] {
    return this.#settings.metadata;
  }

  /** Undefined if there is one already. */
  watchPrimary(): ResponseWatcher | undefined {
    if (this.#hasPrimary) return undefined;
    this.#hasPrimary = true;
    return new AnswerWatcher(this, this.primary);
  }

  watchOther({ target, role }: WatchedResponse, isBaseline: boolean): ResponseWatcher {
    const answer = this.#newAnswer();
    const saysWhatIsNoise = isBaseline && this.#baseline === undefined;
    if (saysWhatIsNoise) this.#baseline = answer;
    const pair = new Pair(this, answer, () => {
      if (saysWhatIsNoise || this.#settings.baseline === undefined) return 'none';
      return this.#baseline ?? 'missing';
    });
    this.#pairs.set(pair, { method: this.#method, target, role: saysWhatIsNoise ? 'baseline' : role });
    if (this.#state !== 'new') {
      // What it would be compared with may be gone.
      pair.giveUp('it was opened after the others had been answered');
      answer.close();
    }
    return new AnswerWatcher(this, answer);
  }

  compareMessages(sides: MessageSides): MessageFinding | Promise<MessageFinding> {
    return compareMessages(sides, this.#settings, this.#method, this.#inScope);
  }

  onDecision(pair: Pair, decision: Decision): void {
    const verdict: ResponseVerdict = { ...this.#pairs.get(pair)!, ...decision };
    this.#pairs.delete(pair);
    const { onVerdict } = this.#settings;
    this.#inScope(() => tellOnlooker(() => onVerdict(verdict)));
  }

  onReady(): void {
    // What the application does when it is asked may lead back here.
    if (this.#state === 'advancing') this.#state = 'again';
    if (this.#state === 'again') return;
    do {
      this.#state = 'advancing';
      for (const pair of this.#pairs.keys()) pair.advance();
    } while (this.#isWantedAgain);
    this.#state = 'idle';
    this.#release();
  }

  /** It could not be gone on with: memory was short, say. */
  onError(error: unknown): void {
    warn(error);
    for (const pair of this.#pairs.keys()) pair.giveUp('comparing failed');
    this.#state = 'idle';
    this.#release();
  }

  get #isWantedAgain(): boolean {
    return this.#state === 'again';
  }

  #newAnswer(): Answer {
    const answer = new Answer(this.#settings, this.#memory, () => this.onReady());
    this.#answers.push(answer);
    return answer;
  }

  /** Lets go of the messages that nobody is to compare any more. */
  #release(): void {
    for (const answer of this.#answers) {
      let needed = Number.POSITIVE_INFINITY;
      for (const pair of this.#pairs.keys()) if (pair.looksAt(answer)) needed = Math.min(needed, pair.cursor);
      if (needed === Number.POSITIVE_INFINITY) answer.close();
      else answer.releaseTo(needed);
    }
  }
}

/** Gives what an answer brings to its comparison. */
class AnswerWatcher implements ResponseWatcher {
  readonly #comparison: Comparison;
  readonly #answer: Answer;

  constructor(comparison: Comparison, answer: Answer) {
    this.#comparison = comparison;
    this.#answer = answer;
  }

  onHeaders(headers: HeaderList): void {
    try {
      this.#answer.onHeaders(headers);
    } catch (error) {
      this.#comparison.onError(error);
    }
  }

  onData(chunk: Buffer): void {
    try {
      this.#answer.push(chunk);
    } catch (error) {
      this.#comparison.onError(error);
    }
  }

  onEnd(failure: Failure | undefined, trailers: HeaderList | undefined): void {
    try {
      this.#answer.onEnd(endOf(failure, trailers, this.#comparison.names));
    } catch (error) {
      this.#comparison.onError(error);
    }
  }
}

/** A failure that is not the backend's own status says nothing of what its answer would have been. */
function endOf(
  failure: Failure | undefined,
  trailers: HeaderList | undefined,
  names: readonly string[],
): AnswerEnd {
  if (trailers !== undefined && (failure === undefined || failure.reason === 'backend_status')) {
    return { name: 'whole', code: failure?.error.code ?? Code.OK, trailers: fieldsOf(trailers, names) };
  }
  if (failure === undefined) return { name: 'cut', reason: 'it has no end' };
  return { name: 'cut', reason: `${failure.reason}: ${StatusError.from(failure.error).message}` };
}
