/**
 * Names that have come once, the last so many at least and twice as many at most: two sets, of which the older one is
 * dropped when the other is full. (One that names are taken out of would keep them: V8's Set chains its former tables.)
 */
export class RecentNames {
  #max: number;
  #names = new Set<string>();
  #older = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  limit(max: number): void {
    this.#max = max;
  }

  has(name: string): boolean {
    return this.#names.has(name) || this.#older.has(name);
  }

  add(name: string): void {
    if (this.#names.size >= this.#max) {
      this.#older = this.#names;
      this.#names = new Set();
    }
    this.#names.add(name);
  }

  clear(): void {
    this.#names.clear();
    this.#older.clear();
  }
}
