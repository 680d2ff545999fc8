import { ATTACKS } from '../attacks/all.js';
import { type Attack, pause } from '../attacks/attack.js';
import { RunningAttack } from '../attacks/lab/lab.js';
import type { Random } from '../support/random.js';

/** Attacks one after another, in an order that the seed tells, so that each has its turn before one comes again. */
export class AttackStorm {
  readonly runs = new Map<string, number>();
  readonly objections: string[] = [];
  #queue: Attack[] = [];

  constructor(
    private readonly port: number,
    private readonly random: Random,
    private readonly log: (what: string) => void,
    /** Hears when one begins, and gives what is to be done when it has ended. */
    private readonly onBegin: (attack: Attack) => () => void,
  ) {}

  /** Attacks until the signal aborts; resolves when the last attacker has left. */
  async rage(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.random.int(200, 3000), signal);
      if (!signal.aborted) await this.#attack(this.#next(), signal);
    }
  }

  #next(): Attack {
    if (this.#queue.length === 0) this.#queue = [...ATTACKS];
    return this.#queue.splice(this.random.int(0, this.#queue.length - 1), 1)[0]!;
  }

  async #attack(attack: Attack, signal: AbortSignal): Promise<void> {
    const { name } = attack;
    this.runs.set(name, (this.runs.get(name) ?? 0) + 1);
    this.log(`attack ${name}`);
    const running = await RunningAttack.prepare({ name, port: this.port, seed: this.random.next() });
    const onEnd = this.onBegin(attack);
    try {
      await running.begin();
      await pause(this.random.int(2000, 6000), signal);
      const { objections } = await running.leave();
      this.objections.push(...objections.map((objection) => `${name}: ${objection}`));
    } finally {
      await running.kill();
      onEnd();
    }
  }
}
