import { Code } from '../../lib/index.js';
import { pause } from '../attacks/attack.js';
import type { Forked } from '../attacks/lab/forked.js';
import { startCommonBackend } from '../attacks/lab/lab.js';
import type { Random } from '../support/random.js';
import type { Account } from './accounts.js';

/** After a backend is back: until the backoff of the proxy's attempts, which grew meanwhile, is over. */
const BACKOFF_FIRST_MILLISECONDS = 2500;
const BACKOFF_GROWTH = 1.5;
/** Above this the proxy finds out by its keepalive that a backend stands still: 10 s of silence, and 10 s to answer. */
const LONG_FREEZE_MILLISECONDS = 24_000;
/** How late a lost connection may be noticed (BEHAVIOUR.md section 4). */
const NOTICE_MILLISECONDS = 1000;

const KINDS = [
  ...['kill', 'kill', 'freeze', 'freeze'],
  ...['long freeze', 'goaway', 'goaway', 'goaway storm'],
] as const;

/** A common backend that is killed and restarted, stopped and continued, and says GOAWAY, at random. */
export class UnsteadyBackend {
  readonly disturbances: Record<string, number> = {};
  #forked: Forked;

  private constructor(
    forked: Forked,
    readonly port: number,
    readonly account: Account,
    private readonly random: Random,
    private readonly log: (what: string) => void,
  ) {
    this.#forked = forked;
  }

  static async start(
    account: Account,
    random: Random,
    log: (what: string) => void,
  ): Promise<UnsteadyBackend> {
    const [forked, port] = await startCommonBackend(account.service);
    return new UnsteadyBackend(forked, port, account, random, log);
  }

  /** Disturbs it until the signal aborts; leaves it in order. */
  async disturb(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.random.int(3000, 12_000), signal);
      if (signal.aborted) return;
      const kind = this.random.pick(KINDS);
      this.disturbances[kind] = (this.disturbances[kind] ?? 0) + 1;
      this.log(`${this.account.service}: ${kind}`);
      if (kind === 'kill') await this.#kill(signal);
      else if (kind === 'freeze') await this.#freeze(this.random.int(500, 6000), signal);
      else if (kind === 'goaway') await this.#goAway(signal);
      else if (kind === 'goaway storm') await this.#goAwayStorm(signal);
      else await this.#freeze(LONG_FREEZE_MILLISECONDS, signal);
    }
  }

  /** Resolves with its faults: what it printed, and how it ended if nobody ended it. */
  async close(): Promise<string[]> {
    const { stderr, death } = this.#forked;
    await this.#forked.kill();
    return [death ?? '', stderr]
      .filter((text) => text !== '')
      .map((text) => `${this.account.service}: ${text}`);
  }

  async #kill(signal: AbortSignal): Promise<void> {
    const disturbance = this.account.disturb('killed', [Code.UNAVAILABLE]);
    await this.#forked.kill();
    await pause(this.random.int(100, 3000), signal);
    [this.#forked] = await startCommonBackend(this.account.service, this.port);
    const now = performance.now();
    disturbance.until = now + BACKOFF_FIRST_MILLISECONDS + BACKOFF_GROWTH * (now - disturbance.from);
  }

  async #freeze(milliseconds: number, signal: AbortSignal): Promise<void> {
    const isLong = milliseconds >= LONG_FREEZE_MILLISECONDS;
    const codes = isLong ? [Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE] : [Code.DEADLINE_EXCEEDED];
    const disturbance = this.account.disturb(isLong ? 'frozen for long' : 'frozen', codes);
    this.#forked.signal('SIGSTOP');
    await pause(milliseconds, signal);
    this.#forked.signal('SIGCONT');
    // Where the connection was lost meanwhile, an attempt for another waits for the backend's SETTINGS since.
    disturbance.until = performance.now() + NOTICE_MILLISECONDS;
  }

  /** Says GOAWAY on its connections, one after another; a call meets it once at most, and is tried again. */
  async #goAway(signal: AbortSignal): Promise<void> {
    for (let left = this.random.int(2, 5); left > 0 && !signal.aborted; left--) {
      await this.#forked.ask('goaway');
      await pause(this.random.int(1000, 2000), signal);
    }
  }

  /** Says GOAWAY so fast that a call may meet it twice, while it is tried again "once in all" only. */
  async #goAwayStorm(signal: AbortSignal): Promise<void> {
    const disturbance = this.account.disturb('GOAWAY storm', [Code.UNAVAILABLE]);
    for (let left = this.random.int(5, 30); left > 0 && !signal.aborted; left--) {
      await this.#forked.ask('goaway');
      await pause(this.random.int(5, 150), signal);
    }
    disturbance.until = performance.now();
  }
}
