import { ConnectionBackoff } from './backoff.js';

/**
 * A backend that closes its connections in order, by GOAWAY, before it has answered anything is no failure at first: it
 * is dialled again, so often in a row, this long after the attempt before.
 */
const MAX_FAREWELLS = 8;
const FAREWELL_MILLISECONDS = 250;

/** When an address may be dialled again for the calls of one lane. */
export class Redial {
  readonly #backoff = new ConnectionBackoff();
  /**
   * A connection that is lost before it was of any use is made again at once, but once: a backend that accepts and
   * closes must not be dialled in a loop.
   */
  #mayRedial = true;
  /** The GOAWAYs in a row that came before anything was answered. */
  #farewells = 0;

  /** The milliseconds until then; 0: now. */
  get remaining(): number {
    return this.#backoff.remaining;
  }

  /** An attempt has failed. @param startedAt when it began */
  onFailure(startedAt: number): void {
    this.#backoff.onFailure(startedAt);
  }

  /** A connection that was of use takes no more streams. */
  onUsefulLeft(): void {
    this.#backoff.reset();
    this.#mayRedial = true;
    this.#farewells = 0;
  }

  /**
   * One that was of no use takes no more.
   *
   * @param startedAt when it was dialled
   * @param byGoaway the peer has closed it in order
   * @returns whether that is no failure yet: calls wait for the next one
   */
  onUselessLeft(startedAt: number, byGoaway: boolean): boolean {
    if (this.#mayRedial) {
      this.#mayRedial = false;
      return this.remaining === 0;
    }
    if (byGoaway && this.#farewells < MAX_FAREWELLS) {
      this.#farewells++;
      this.#backoff.space(startedAt, FAREWELL_MILLISECONDS);
      return true;
    }
    this.#backoff.onFailure(startedAt);
    return false;
  }
}
