import { type ClientConn, dial } from '../client/client-conn.js';

/** How often a call begins: enough to see something move. */
const INTERVAL_MILLISECONDS = 100;

/** What is called, in turn: one of them fails. */
const METHODS = ['Say', 'Say', 'Say', 'Repeat', 'Say', 'Say', 'Say', 'Fail'];

/** A little traffic for the demo, so that the live page has something to show. */
export class DemoLoad {
  readonly #conn: ClientConn;
  readonly #timer: NodeJS.Timeout;
  #calls = 0;

  /** @param target of the proxy itself */
  constructor(target: string, isSecure: boolean) {
    this.#conn = dial(target, isSecure ? { tls: { rejectUnauthorized: false } } : {});
    this.#timer = setInterval(() => void this.#call(), INTERVAL_MILLISECONDS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#conn.destroy();
  }

  async #call(): Promise<void> {
    const method = METHODS[this.#calls++ % METHODS.length]!;
    const call = this.#conn.call(`/demo.Echo/${method}`, { timeoutMilliseconds: 5000 });
    const messages = method === 'Repeat' ? 5 : 1;
    try {
      for (let i = 0; i < messages; i++) await call.send(Buffer.from(`call ${this.#calls}`));
      call.end();
      for await (const _ of call);
      await call.status;
    } catch {
      // What fails is what the live page is to show.
    }
  }
}
