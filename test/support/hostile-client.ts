import type { Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { requestTo } from './fields.js';
import {
  CLIENT_PREFACE,
  END,
  FrameType,
  headers,
  pingAck,
  resetStream,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from './frame.js';
import { FrameLog } from './frame-log.js';
import {
  brokenMessages,
  cutAnywhere,
  dataFrames,
  firstSettings,
  headerFrames,
  junkFrame,
  type MakeFrame,
  mangle,
  messages,
  shortMessages,
} from './hostile-frames.js';
import type { Random } from './random.js';
import { resetConnection, type Wire } from './wire.js';

/** How long what was asked for may take, before the hostile client goes. */
const PATIENCE_MILLISECONDS = 60;

const METHODS = ['/test.Service/Echo', '/test.Service/Peek', '/test.Service/Copy'];

/** A client that makes some calls, and breaks rules on the way; a tame one keeps them, and waits for its answers. */
export class HostileClient {
  readonly sent = new FrameLog(CLIENT_PREFACE.length);
  readonly received: FrameLog;
  readonly #random: Random;
  readonly #socket: Socket;
  readonly #isTame: boolean;
  #calls = 0;
  #onOver: (() => void) | undefined;
  /** A tame client's, until it has sent its calls: a reply must not come in the middle of a frame. */
  #replies: Buffer[] | undefined;

  private constructor(socket: Socket, random: Random, isTame: boolean) {
    this.#random = random;
    this.#socket = socket;
    this.#isTame = isTame;
    this.#replies = isTame ? [] : undefined;
    const replies = random.fork();
    this.received = new FrameLog(0, ({ type, flags, payload }) => {
      const obeys = isTame || replies.chance(0.9);
      if (type === FrameType.SETTINGS && flags === 0 && obeys) this.#reply(SETTINGS_ACK);
      if (type === FrameType.PING && flags === 0 && obeys) this.#reply(pingAck(payload));
      if (this.#areCallsOver) this.#onOver?.();
    });
    socket.on('data', (chunk: Buffer) => this.received.push(chunk));
    socket.on('close', () => this.#onOver?.());
    socket.on('error', () => {});
  }

  /** Connects, does its worst, and goes. */
  static async attack(port: number, random: Random, wire: Wire, isTame = false): Promise<HostileClient> {
    const socket = await wire.connect(port);
    socket.setNoDelay(true);
    const client = new HostileClient(socket, random, isTame);
    await client.#run();
    return client;
  }

  /** How many calls it has made. */
  get calls(): number {
    return this.#calls;
  }

  async #run(): Promise<void> {
    const random = this.#random;
    const isTame = this.#isTame;
    const opening = [CLIENT_PREFACE, isTame ? settings() : firstSettings(random)];
    if (isTame || random.chance(0.7)) opening.push(windowUpdate(0, 2 ** 30));
    const bytes = Buffer.concat([...opening, ...this.#frames()]);
    if (!isTame && random.chance(0.1)) bytes[random.int(0, bytes.length - 1)]! ^= random.int(1, 255);
    for (const piece of cutAnywhere(random, bytes, 100_000)) {
      if (this.#socket.destroyed) break;
      if (random.chance(0.05)) this.#socket.pause();
      this.#send(piece);
      if (random.chance(0.3)) await sleep(random.int(0, 3));
      else await turn();
    }
    for (const reply of this.#replies ?? []) this.#send(reply);
    this.#replies = undefined;
    if (isTame || random.chance(0.8)) this.#socket.resume();
    if (isTame) await this.#callsOver();
    else if (random.chance(0.8)) await this.#wait(PATIENCE_MILLISECONDS);
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    const way = random.int(0, 2);
    if (way === 0 && this.#socket.writable) this.#socket.end();
    else if (way === 1) resetConnection(this.#socket);
    else this.#socket.destroy();
    if (way === 0) await sleep(random.int(0, 10));
    this.#socket.destroy();
    if (!this.#socket.closed) await closed;
  }

  get #areCallsOver(): boolean {
    const over = [...this.received.streams.values()].filter(({ ended, reset }) => ended || reset);
    return over.length >= this.#calls;
  }

  /** Until all calls are answered, or the connection is closed. */
  async #callsOver(): Promise<void> {
    if (this.#areCallsOver || this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#onOver = resolve;
    });
  }

  /** The same, or until time is up. */
  async #wait(milliseconds: number): Promise<void> {
    const patience = new AbortController();
    const timeUp = sleep(milliseconds, undefined, { signal: patience.signal }).catch(() => {});
    await Promise.race([this.#callsOver(), timeUp]);
    patience.abort();
  }

  /** The frames of several calls, one among the other. */
  #frames(): Buffer[] {
    const random = this.#random;
    const isTame = this.#isTame;
    const queues: MakeFrame[][] = [];
    for (let left = random.int(1, 6); left > 0; left--) {
      queues.push(isTame ? this.#tameCall() : this.#call());
    }
    this.#calls = queues.length;
    const ids = new Map<MakeFrame[], number>();
    const frames: Buffer[] = [];
    while (queues.length > 0) {
      const queue = random.chance(0.5) ? queues[0]! : random.pick(queues);
      const make = queue.shift();
      if (make === undefined) {
        queues.splice(queues.indexOf(queue), 1);
        continue;
      }
      // In order of their beginnings, as it must be.
      if (!ids.has(queue)) ids.set(queue, 2 * ids.size + 1);
      frames.push(make(!isTame && random.chance(0.01) ? random.int(0, 20) : ids.get(queue)!));
      if (!isTame && random.chance(0.02)) frames.push(junkFrame(random)(ids.get(queue)!));
    }
    return frames;
  }

  /** One that nobody may refuse, on windows of 65,535 octets. */
  #tameCall(): MakeFrame[] {
    const random = this.#random;
    const body = shortMessages(random);
    const fields = requestTo(random.pick(METHODS));
    if (random.chance(0.8)) {
      return [(id) => headers(id, fields), ...dataFrames(random, body, true)];
    }
    const trailers: MakeFrame = (id) => headers(id, ['x-trailer', 'a'], END);
    return [(id) => headers(id, fields), ...dataFrames(random, body, false), trailers];
  }

  #call(): MakeFrame[] {
    const random = this.#random;
    const body = random.chance(0.1) ? brokenMessages(random) : messages(random);
    const fields: string[] = [
      ...[':method', random.chance(0.97) ? 'POST' : random.pick(['GET', 'HEAD', 'CONNECT', 'post'])],
      ...[':scheme', 'http'],
      ...[':path', random.chance(0.97) ? random.pick(METHODS) : random.pick(['/', '*', '', '/x', '//'])],
      ...[':authority', 'localhost'],
      ...['content-type', random.chance(0.97) ? 'application/grpc' : 'text/html'],
      ...(random.chance(0.9) ? ['te', 'trailers'] : []),
      ...(random.chance(0.1) ? ['grpc-timeout', random.pick(['10m', '1S', '1n', 'x', '99999999H'])] : []),
      ...(random.chance(0.1) ? ['content-length', `${body.length + random.pick([0, 0, 1, -1])}`] : []),
    ];
    const end = random.pick(['data', 'data', 'data', 'data', 'trailers', 'reset', 'none']);
    const frames = [headerFrames(random, fields, false), ...dataFrames(random, body, end === 'data')];
    if (end === 'trailers') frames.push(headerFrames(random, ['x-trailer', 'a'], true));
    if (end === 'reset') frames.push((id) => resetStream(id, random.int(0, 14)));
    return random.chance(0.5) ? frames : mangle(random, frames);
  }

  #reply(frame: Buffer): void {
    if (this.#replies === undefined) this.#send(frame);
    else this.#replies.push(frame);
  }

  #send(bytes: Buffer): void {
    if (!this.#socket.writable) return;
    this.sent.push(bytes);
    this.#socket.write(bytes);
  }
}
