import {
  Code,
  type CompareOptions,
  type Destination,
  encodeMessage,
  type FailureReason,
  type ResponseVerdict,
  StatusError,
} from '../../../lib/index.js';
import { ComparingMemory } from '../../../lib/proxy/compare/allowance.js';
import { compareWithin } from '../../../lib/proxy/compare/compare-responses.js';
import { checkedSettings } from '../../../lib/proxy/compare/settings.js';
import type { ResponseWatch, ResponseWatcher } from '../../../lib/proxy/response-observer.js';
import { untyped } from '../../support/hostile-values.js';

export const METHOD = '/test.Service/Method';

/** What stands for connections, by their targets. */
const CONNS = ['primary', 'a', 'b', 'c'].map((target) => ({ close() {}, toString: () => target }));

/** An answer that a test gives, event by event. */
export class GivenAnswer {
  readonly #watcher: ResponseWatcher;
  #hasHeaders = false;

  constructor(watcher: ResponseWatcher) {
    this.#watcher = watcher;
  }

  headers(...fields: string[]): this {
    this.#hasHeaders = true;
    this.#watcher.onHeaders([':status', '200', 'content-type', 'application/grpc', ...fields]);
    return this;
  }

  /** DATA, in memory that is used again afterwards. */
  data(bytes: Buffer): this {
    if (!this.#hasHeaders) this.headers();
    const lent = Buffer.from(bytes);
    this.#watcher.onData(lent);
    lent.fill(0xee);
    return this;
  }

  messages(...payloads: (string | Buffer)[]): this {
    return this.data(Buffer.concat(payloads.map((payload) => encodeMessage(Buffer.from(payload)))));
  }

  compressed(payload: Buffer): this {
    return this.data(encodeMessage(payload, true));
  }

  /** The backend's own end. */
  ends(code: Code | 0 = 0, ...fields: string[]): this {
    const failure =
      code === 0 ? undefined : ({ error: new StatusError(code, 'told'), reason: 'backend_status' } as const);
    this.#watcher.onEnd(failure, ['grpc-status', String(code), ...fields]);
    return this;
  }

  cut(reason: FailureReason = 'backend_reset'): this {
    this.#watcher.onEnd({ error: new StatusError(Code.CANCELLED, 'cut'), reason }, undefined);
    return this;
  }
}

/** A call whose answers a test gives. */
export class ComparedCall {
  readonly verdicts: ResponseVerdict[] = [];
  readonly memory: ComparingMemory;
  readonly primary: GivenAnswer;
  readonly others: readonly GivenAnswer[];

  /** @param others how many are compared; the first has the conn `a`, to be named as the baseline */
  constructor(options: Partial<CompareOptions> = {}, others = 1, memory = new ComparingMemory(2 ** 26)) {
    this.memory = memory;
    const settings = checkedSettings({ onVerdict: (verdict) => this.verdicts.push(verdict), ...options });
    const destinations = CONNS.slice(0, 1 + others).map((conn) => untyped<Destination>({ conn }));
    const [primary, ...secondaries] = destinations;
    const parameters = compareWithin(memory, { primary: primary!, secondaries }, settings);
    const compared = [parameters.primary, ...(parameters.secondaries as readonly Destination[])];
    const call = {};
    const answers = compared.map(({ conn, observer }, index) => {
      const role = index === 0 ? 'primary' : 'secondary';
      const target = String(conn);
      const watcher = (observer as ResponseWatch).watch({
        call,
        method: METHOD,
        target,
        role,
        inScope: (hook) => hook(),
      });
      return new GivenAnswer(watcher!);
    });
    this.primary = answers[0]!;
    this.others = answers.slice(1);
  }

  get other(): GivenAnswer {
    return this.others[0]!;
  }

  /** The only verdict. */
  get verdict(): ResponseVerdict {
    if (this.verdicts.length !== 1) throw new Error(`${this.verdicts.length} verdicts`);
    return this.verdicts[0]!;
  }
}

export const BASELINE = untyped<Destination['conn']>(CONNS[1]);
