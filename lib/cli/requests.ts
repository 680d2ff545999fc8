import { deferred } from '../call/deferred.js';

/** How a process asks another, by the channel between them. */
export interface Channel {
  send(message: object, done: (error: Error | null) => void): void;
  on(event: 'message', listener: (message: unknown) => void): void;
}

interface Request {
  readonly request: number;
  readonly method: string;
  readonly argument: unknown;
}

interface Answer {
  readonly answer: number;
  readonly result?: unknown;
  /** The message of what was thrown. */
  readonly error?: string;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** What the other end says when it listens: messages before that may be lost, as Node has it. */
const READY = { ready: true };

/** The other end is gone, or cannot be reached any more. */
export class Gone extends Error {}

/** Asks what a process at the other end of a channel {@link answerRequests}. */
export class Requests {
  readonly #channel: Channel;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready = deferred<void>();
  #last = 0;
  #ended: Gone | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.on('message', (message) => this.#onMessage(message as Partial<Answer>));
  }

  /** Resolves when the other end listens, or is gone. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** @throws Error with the message of what was thrown there; Gone when there is nobody to ask */
  async ask<T>(method: string, argument?: unknown): Promise<T> {
    await this.#ready.promise;
    if (this.#ended !== undefined) throw this.#ended;
    const request: Request = { request: ++this.#last, method, argument };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.request, { resolve: resolve as (result: unknown) => void, reject });
      this.#channel.send(request, (error) => {
        if (error !== null && this.#waiting.delete(request.request)) reject(new Gone(error.message));
      });
    });
  }

  /** The other end is gone: nothing will be answered any more. */
  end(why: string): void {
    const reason = new Gone(why);
    this.#ended = reason;
    this.#ready.resolve();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #onMessage({ answer, result, error, ready }: Partial<Answer & typeof READY>): void {
    if (ready) this.#ready.resolve();
    const waiting = answer === undefined ? undefined : this.#waiting.get(answer);
    if (waiting === undefined) return;
    this.#waiting.delete(answer!);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(new Error(error));
  }
}

type Methods = Readonly<Record<string, (argument: never) => unknown>>;

/** Answers what is asked by {@link Requests} at the other end. `sent` is called when an answer has left. */
export function answerRequests(channel: Channel, methods: Methods, sent: (method: string) => void): void {
  const answer = async ({ request, method, argument }: Request): Promise<void> => {
    let answered: Answer;
    try {
      answered = { answer: request, result: await methods[method]!(argument as never) };
    } catch (thrown) {
      answered = { answer: request, error: (thrown as Error).message };
    }
    // Who does not get it has gone, and its end is told elsewhere.
    channel.send(answered, () => sent(method));
  };
  channel.on('message', (message) => {
    if ((message as Partial<Request>).request !== undefined) void answer(message as Request);
  });
  channel.send(READY, () => {});
}
