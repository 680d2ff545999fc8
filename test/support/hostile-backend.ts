import type { Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { RESPONSE, TRAILERS } from './fields.js';
import {
  CLIENT_PREFACE,
  END,
  FrameType,
  headers,
  pingAck,
  resetStream,
  SETTINGS_ACK,
  Setting,
  settings,
  windowUpdate,
} from './frame.js';
import { FrameLog, type StreamLog } from './frame-log.js';
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
} from './hostile-frames.js';
import { fieldValue } from './http2-client.js';
import type { Random } from './random.js';
import { SocketServer } from './socket-server.js';
import { resetConnection, type Wire } from './wire.js';

/** A backend that answers calls wrongly, or rightly until `behaves`. */
export class HostileBackend {
  /** What was said to each call, by its `x-call`; a call that was retried has several. */
  readonly answers = new Map<string, StreamLog[]>();
  /** From now on no rule is broken on new connections. */
  behaves = false;
  /** How many connections there have been that might break them. */
  hostileConnections = 0;
  random: Random;
  readonly #server: SocketServer;

  private constructor(server: SocketServer, random: Random) {
    this.#server = server;
    this.random = random;
  }

  static async start(random: Random, wire: Wire): Promise<HostileBackend> {
    const onSocket = (socket: Socket): void => {
      if (!backend.behaves) backend.hostileConnections++;
      void new HostileConnection(socket, backend, backend.random.fork(), backend.behaves).begin();
    };
    const server = await SocketServer.start(onSocket, wire, { allowHalfOpen: true });
    const backend = new HostileBackend(server, random);
    return backend;
  }

  get port(): number {
    return this.#server.port;
  }

  /** Ends its connections. */
  async cut(): Promise<void> {
    const sockets = [...this.#server.sockets];
    for (const socket of sockets) socket.destroy();
    while (sockets.some(({ closed }) => !closed)) await sleep(1);
  }

  /** Stops listening, and cuts all connections. */
  close(): Promise<void> {
    return this.#server.close();
  }
}

class HostileConnection {
  readonly #sent = new FrameLog(0);
  readonly #received: FrameLog;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly socket: Socket,
    private readonly backend: HostileBackend,
    private readonly random: Random,
    private readonly behaves: boolean,
  ) {
    this.#received = new FrameLog(CLIENT_PREFACE.length, ({ type, flags, payload }, stream) => {
      if (type === FrameType.SETTINGS && flags === 0 && this.#obeys()) this.#send(SETTINGS_ACK);
      if (type === FrameType.PING && flags === 0 && this.#obeys()) this.#send(pingAck(payload));
      const list = stream?.lists[0];
      if (type === FrameType.HEADERS && list !== undefined) void this.#answer(list, stream!);
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
  }

  async begin(): Promise<void> {
    const random = this.random;
    if (this.behaves) {
      this.#send(Buffer.concat([settings(), windowUpdate(0, 2 ** 30)]));
      return;
    }
    if (random.chance(0.1)) await sleep(random.int(0, 20));
    if (random.chance(0.03)) this.#send(junkFrame(random)(1));
    const concurrent = random.chance(0.3)
      ? [[Setting.MAX_CONCURRENT_STREAMS, random.int(0, 4)] as const]
      : [];
    if (random.chance(0.97)) this.#send(firstSettings(random, ...concurrent));
    if (random.chance(0.7)) this.#send(windowUpdate(0, 2 ** 30));
  }

  #obeys(): boolean {
    return this.behaves || this.random.chance(0.9);
  }

  async #answer(request: readonly string[], stream: StreamLog): Promise<void> {
    const call = fieldValue(request, 'x-call');
    if (call === undefined) throw new Error('a request of nobody');
    const answers = this.backend.answers.get(call) ?? [];
    this.backend.answers.set(call, answers);
    answers.push(this.#sent.stream(stream.id));
    const random = this.random.fork();
    if (this.behaves || random.chance(0.5)) {
      while (!stream.ended && !this.socket.destroyed) await sleep(1);
    }
    for (const make of this.behaves ? plainAnswer(random) : hostileAnswer(random)) {
      if (this.socket.destroyed) return;
      this.#send(make(stream.id));
      // So that the streams' frames mix.
      if (random.chance(0.3)) await sleep(random.int(0, 3));
      else if (random.chance(0.5)) await turn();
    }
    if (this.behaves || random.chance(0.93)) return;
    await this.#tail;
    const way = random.int(0, 2);
    if (way === 0) this.socket.end();
    else if (way === 1) resetConnection(this.socket);
    else this.socket.destroy();
  }

  /** Sends in pieces, one frame behind the other. */
  #send(bytes: Buffer): void {
    const pieces = this.random.chance(0.2) ? cutAnywhere(this.random, bytes, 20_000) : [bytes];
    this.#tail = this.#tail.then(async () => {
      for (const piece of pieces) {
        if (!this.socket.writable) return;
        this.#sent.push(piece);
        this.socket.write(piece);
        if (pieces.length > 1) await turn();
      }
    });
  }
}

/** An answer that nobody may refuse. */
function plainAnswer(random: Random): MakeFrame[] {
  return [
    (id) => headers(id, RESPONSE),
    ...dataFrames(random, messages(random), false),
    (id) => headers(id, TRAILERS, END),
  ];
}

/**
 * An answer of which each frame is right. Its fields may be more than the proxy takes (70,000 octets), or of an HPACK
 * table that was made smaller than they are.
 */
function honestAnswer(random: Random): MakeFrame[] {
  return [
    headerFrames(random, RESPONSE, false),
    ...dataFrames(random, messages(random), false),
    headerFrames(random, TRAILERS, true),
  ];
}

function hostileAnswer(random: Random): MakeFrame[] {
  if (random.chance(0.35)) return honestAnswer(random);
  if (random.chance(0.1)) {
    const code = `${random.pick([0, 0, 5, 14, 17, -1])}`;
    return mangle(random, [headerFrames(random, [...RESPONSE, 'grpc-status', code], true)]);
  }
  const body = random.chance(0.3) ? brokenMessages(random) : messages(random);
  const list = [...RESPONSE];
  if (random.chance(0.05)) list[1] = random.pick(['100', '101', '204', '503', '999', '', '2000']);
  if (random.chance(0.05)) list[3] = 'text/html';
  if (random.chance(0.1)) list.push('content-length', `${body.length + random.pick([0, 0, 1, -1])}`);
  const status = random.chance(0.9) ? ['grpc-status', `${random.pick([0, 0, 0, 3, 99])}`] : ['x-none', 'a'];
  const frames = [
    ...(random.chance(0.1) ? [headerFrames(random, [':status', '103'], false)] : []),
    headerFrames(random, list, false),
    ...dataFrames(random, body, random.chance(0.05)),
    headerFrames(random, status, true),
  ];
  // NO_ERROR behind a response that is complete is right; the code is what counts for others.
  if (random.chance(0.1)) frames.push((id) => resetStream(id, 0));
  return random.chance(0.3) ? frames : mangle(random, frames);
}
