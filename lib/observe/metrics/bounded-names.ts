/** What is counted under no name of its own. */
export const OTHER = 'other';

/** Names as values of a label: the first so many that come, and those that are always kept. All others are {@link OTHER}. */
export class BoundedNames {
  #max: number;
  readonly #names = new Set<string>();
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  nameOf(name: string): string {
    if (this.#names.has(name)) return name;
    if (name === OTHER || this.#taken >= this.#max) return OTHER;
    this.#taken++;
    this.#names.add(name);
    return name;
  }

  /** From now on at most so many are taken in all: those that have been stay. */
  limit(max: number): void {
    this.#max = max;
  }

  /** Keeps a name besides those that come first. */
  keep(name: string): void {
    this.#names.add(name);
  }
}
