import type { World } from './behaviour.js';
import { MESSAGE, METHOD, status } from './unary.js';
import { within } from './within.js';

/** How long one of its calls may take, in milliseconds, on a machine that does much else. */
const PATIENCE = 5000;

/** A client with a connection of its own that makes small calls, one after the other, while others misbehave. */
export class Victim {
  readonly #finished: Promise<void>;
  readonly #statuses: (string | undefined)[] = [];
  #isStopping = false;

  constructor(world: World, port: number, method = METHOD) {
    const client = world.http2Client(port);
    this.#finished = (async () => {
      do {
        const response = await within(PATIENCE, "a victim's call", client.call(method, MESSAGE));
        this.#statuses.push(status(response) ?? `reset ${response.resetCode}`);
      } while (!this.#isStopping);
    })();
    // Whoever stops it hears of it.
    this.#finished.catch(() => {});
  }

  /** Stops; returns how its calls ended that did not end OK, of which there should be none. */
  async stop(): Promise<(string | undefined)[]> {
    this.#isStopping = true;
    await this.#finished;
    return this.#statuses.filter((ended) => ended !== '0');
  }
}
