import { RESPONSE, TRAILERS } from '../../support/fields.js';
import { Setting } from '../../support/frame.js';
import type { Random } from '../../support/random.js';
import { type RawConnection, type RawOptions, WAYS_TO_LEAVE } from '../raw-connection.js';
import type { RawStream } from '../raw-stream.js';
import { violated } from '../violated.js';

const REFUSED_STREAM = 7;
const LAST_OF_ALL = 2 ** 31 - 1;

/** What a backend has done with a call, one time that it got it. */
export interface Attempt {
  /**
   * `answered`: all of the answer has been sent; `refused`: by RST_STREAM, or by GOAWAY with a lower last stream;
   * `unsure`: its connection is over, and nobody can know what has come through.
   */
  state: 'taken' | 'answered' | 'refused' | 'unsure';
}

interface Taken {
  readonly stream: RawStream;
  readonly attempt: Attempt;
}

/** A backend's connection that answers with what it gets, refuses streams, goes away, and leaves, as it likes. */
export class FickleConnection {
  readonly options: RawOptions;
  readonly #random: Random;
  readonly #attempts: ReadonlyMap<string, Attempt[]>;
  readonly #taken: Taken[] = [];
  /** Those that are being answered. */
  readonly #answers = new Set<Taken>();
  readonly #most: number;
  readonly #goesAwayAfter: number;
  readonly #refuses: number;
  #last = LAST_OF_ALL;
  /** It goes away, or has left, and has answered nothing before. */
  isUseless = false;
  hasLeft = false;

  /** @param attempts by a call's name, where it tells what it does with it */
  constructor(random: Random, attempts: ReadonlyMap<string, Attempt[]>) {
    this.#random = random;
    this.#attempts = attempts;
    this.#goesAwayAfter = random.chance(0.7) ? random.int(1, 6) : Number.POSITIVE_INFINITY;
    this.#refuses = random.chance(0.3) ? 0.4 : 0;
    this.#most = random.chance(0.3) ? random.int(1, 4) : Number.POSITIVE_INFINITY;
    this.options = {
      settings: this.#most === Number.POSITIVE_INFINITY ? [] : [[Setting.MAX_CONCURRENT_STREAMS, this.#most]],
      onStream: (stream, connection) => this.#take(stream, connection),
    };
  }

  #take(stream: RawStream, connection: RawConnection): void {
    const attempt: Attempt = { state: 'taken' };
    const attempts = this.#attempts.get(stream.field('x-call') ?? '');
    if (attempts === undefined) throw new Error('a request of nobody');
    attempts.push(attempt);
    const taken = { stream, attempt };
    this.#taken.push(taken);
    const running = this.#taken.filter(
      ({ stream }) => !stream.isOver && stream.resetCode === undefined,
    ).length;
    if (running > this.#most) violated(`${running} streams at a time where ${this.#most} are allowed`);
    if (stream.id > this.#last) {
      this.#leaveOut(taken);
    } else if (this.#random.chance(this.#refuses)) {
      attempt.state = 'refused';
      connection.reset(stream, REFUSED_STREAM);
    } else if (this.#taken.length === this.#goesAwayAfter) {
      void this.#goAway(connection);
    } else {
      void this.#answer(taken, connection);
    }
  }

  async #answer(taken: Taken, connection: RawConnection): Promise<void> {
    if (this.#answers.has(taken)) return;
    this.#answers.add(taken);
    const { stream, attempt } = taken;
    if (this.#random.chance(0.3)) await connection.roundTrip();
    await connection.until(() => stream.isDone || stream.isOver);
    if (attempt.state !== 'taken' || stream.resetCode !== undefined) return;
    if (connection.isClosed) {
      attempt.state = 'unsure';
      return;
    }
    connection.sendHeaders(stream, RESPONSE);
    if (await connection.sendData(stream, stream.data)) {
      connection.sendHeaders(stream, TRAILERS, true);
      attempt.state = 'answered';
    } else {
      attempt.state = 'unsure';
    }
  }

  /** Streams behind the last one that it names are not answered; all before it are, unless it leaves. */
  async #goAway(connection: RawConnection): Promise<void> {
    const random = this.#random;
    if (!this.#taken.some(({ attempt }) => attempt.state === 'answered')) this.isUseless = true;
    const code = random.pick([0, 0, 0, 2, 11]);
    const leaves = random.chance(0.3);
    const leavesOut = random.int(0, 3);
    if (random.chance(0.3)) {
      connection.goAway(LAST_OF_ALL, 0);
      await connection.roundTrip();
    }
    const begun = this.#taken.findLastIndex(({ stream }) => stream.isOver || stream.lists.length === 0);
    const kept = Math.max(begun + 1, this.#taken.length - leavesOut);
    this.#last = this.#taken[kept - 1]?.stream.id ?? 0;
    for (const taken of this.#taken) {
      if (taken.stream.id > this.#last) this.#leaveOut(taken);
      // What runs on a connection with an error is ended with it by node:http2.
      else if (code !== 0 && taken.attempt.state === 'taken') taken.attempt.state = 'unsure';
      else if (taken.attempt.state === 'taken') void this.#answer(taken, connection);
    }
    connection.goAway(this.#last, code);
    if (!leaves && code === 0) return;
    // What it has said last may be lost with it.
    for (const { attempt } of this.#taken) attempt.state = 'unsure';
    this.hasLeft = true;
    await connection.leave(random.pick(WAYS_TO_LEAVE));
  }

  #leaveOut({ stream, attempt }: Taken): void {
    if (attempt.state === 'taken') attempt.state = 'refused';
    stream.isOver = true;
  }
}
