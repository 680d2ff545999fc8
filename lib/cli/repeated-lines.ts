/** How often it is said how many more there were of a kind. */
const REPEAT_MILLISECONDS = 60_000;

/** Kinds that are told apart: clients choose the names of methods. */
const MAX_KINDS = 1000;

/** A kind that has not come for so many repeats is forgotten: when it comes again, it is told at once again. */
const FORGET_AFTER = 10;

interface Kind {
  /** How many there were since that was said last. */
  count: number;
  /** Repeats without any. */
  idle: number;
}

/** Says what happens again and again: the first of a kind at once, of more only how many. */
export class RepeatedLines {
  readonly #log: (line: string) => void;
  /** What those are told as that are one kind too many. */
  readonly #rest: string;
  readonly #kinds = new Map<string, Kind>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param log told a line each
   * @param rest what those of further kinds are together
   */
  constructor(log: (line: string) => void, rest: string) {
    this.#log = log;
    this.#rest = rest;
  }

  /** @param detail said of the first alone */
  add(kind: string, detail: string): void {
    const name = this.#kinds.has(kind) || this.#kinds.size < MAX_KINDS ? kind : this.#rest;
    const known = this.#kinds.get(name);
    if (known !== undefined) {
      known.count++;
      return;
    }
    this.#kinds.set(name, { count: 0, idle: 0 });
    this.#log(`${name}: ${detail}`);
    this.#timer ??= setInterval(() => this.#repeat(), REPEAT_MILLISECONDS).unref();
  }

  /** Says what has not been said. */
  stop(): void {
    clearInterval(this.#timer);
    this.#repeat();
  }

  #repeat(): void {
    for (const [name, kind] of this.#kinds) {
      if (kind.count > 0) {
        this.#log(`${name}: ${kind.count} more ${kind.count === 1 ? 'time' : 'times'}`);
        kind.count = 0;
        kind.idle = 0;
      } else if (++kind.idle >= FORGET_AFTER) this.#kinds.delete(name);
    }
  }
}
