/**
 * Work that many ask for at once is done once for all of them, but never for who asks when it has begun: nobody is given
 * what was true before the question. So there are no more than the one that runs and the next one.
 */
export class Coalesced<T> {
  readonly #work: () => Promise<T>;
  #running: Promise<void> | undefined;
  #next: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  get(): Promise<T> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  async #begin(): Promise<T> {
    // If none runs, until all have asked who ask now.
    await this.#running;
    this.#next = undefined;
    const work = this.#work();
    this.#running = work.then(ignore, ignore);
    return work;
  }
}

function ignore(): void {}
