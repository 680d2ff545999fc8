import { encodeMessage } from '../../lib/index.js';
import type { World } from './behaviour.js';
import { RESPONSE, requestTo, TRAILERS } from './fields.js';
import { CLIENT_PREFACE, data, Flag, FrameType, frame, settings, windowUpdate } from './frame.js';
import { FrameLog, type StreamLog } from './frame-log.js';
import type { FramePeer } from './frame-peer.js';
import { fieldBlock } from './hpack.js';
import { fieldValue } from './http2-client.js';

/** Where in a call fields are put. */
export const PLACES = [
  'request headers',
  'request trailers',
  'response headers',
  'trailers',
  'Trailers-Only',
  'error trailers',
] as const;
export type Place = (typeof PLACES)[number];

const MESSAGE = encodeMessage(Buffer.from('hi'));
const SERVICE = '/test.Fields/';
const WINDOW = 2 ** 30;

/** What has become of a call: `grpc 5`, `http 415`, `reset 1`, or `lost` with its connection. */
export type Ending = string;

/** A call, as the client and the backend saw it. */
export interface Seen {
  readonly ending: Ending;
  readonly client: StreamLog;
  /** Undefined if the call has not reached the backend. */
  readonly backend: StreamLog | undefined;
}

/** Calls on one connection, to one backend: what both say is written field by field, and checked by nobody. */
export class FieldTraffic {
  readonly #world: World;
  readonly #port: number;
  readonly #client: FramePeer;
  readonly #received = new FrameLog(0);
  readonly #backend: FieldBackend;
  #nextStream = 1;

  private constructor(world: World, port: number, client: FramePeer, backend: FieldBackend) {
    this.#world = world;
    this.#port = port;
    this.#client = client;
    this.#backend = backend;
    client.socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
  }

  /** `port` is the proxy's. */
  static async start(world: World, port: number, backend: FieldBackend): Promise<FieldTraffic> {
    return new FieldTraffic(world, port, await world.frameClient(port), backend);
  }

  /** Itself, or the same on a new connection if its own is lost. */
  async again(): Promise<FieldTraffic> {
    return this.#client.isClosed ? FieldTraffic.start(this.#world, this.#port, this.#backend) : this;
  }

  /** A call with these fields in that place; `status` is in place of the usual fields of the status. */
  async call(place: Place, fields: readonly string[], status?: readonly string[]): Promise<Seen> {
    const path = this.#backend.expect(place, fields, status);
    return this.send(
      path,
      place === 'request headers' ? fields : [],
      place === 'request trailers' ? fields : undefined,
    );
  }

  /** A call to a path, with these fields beside the usual ones. */
  async send(path: string, fields: readonly string[], trailers?: readonly string[]): Promise<Seen> {
    const id = this.#nextStream;
    this.#nextStream += 2;
    this.#client.send(
      headerFrames(id, [...requestTo(path), ...fields], 0),
      data(id, MESSAGE, trailers === undefined ? Flag.END_STREAM : 0),
      ...(trailers === undefined ? [] : [headerFrames(id, trailers, Flag.END_STREAM)]),
    );
    const stream = this.#received.stream(id);
    await this.#client.until(() => stream.ended || stream.reset || this.#client.isClosed);
    return { ending: endingOf(stream), client: stream, backend: this.#backend.requests.get(path) };
  }
}

interface Answer {
  readonly place: Place;
  readonly fields: readonly string[];
  readonly status: readonly string[];
}

/** Answers each call as it was told to expect it. */
export class FieldBackend {
  readonly port: number;
  /** By path. */
  readonly requests = new Map<string, StreamLog>();
  connections = 0;
  readonly #answers = new Map<string, Answer>();

  private constructor(port: number) {
    this.port = port;
  }

  static async start(world: World): Promise<FieldBackend> {
    const server = await world.frameBackend((connection) => backend.#serve(connection));
    const backend = new FieldBackend(server.port);
    return backend;
  }

  /** The path of a call that is answered with these fields in that place, if the place is one of a response. */
  expect(place: Place, fields: readonly string[], status = statusAt(place)): string {
    const path = `${SERVICE}${this.#answers.size}`;
    this.#answers.set(path, { place, fields, status });
    return path;
  }

  #serve(connection: FramePeer): void {
    this.connections++;
    const log = new FrameLog(CLIENT_PREFACE.length, (_frame, stream) => {
      if (stream === undefined || !stream.ended) return;
      const path = fieldValue(stream.lists[0], ':path') ?? '';
      if (this.requests.has(path)) return;
      this.requests.set(path, stream);
      connection.send(this.#answerTo(stream.id, path));
    });
    connection.send(settings(), windowUpdate(0, WINDOW));
    connection.socket.on('data', (chunk: Buffer) => log.push(chunk));
  }

  #answerTo(id: number, path: string): Buffer {
    const { place, fields, status } = this.#answers.get(path)!;
    const at = (other: Place): readonly string[] => (place === other ? fields : []);
    if (place === 'Trailers-Only') {
      return headerFrames(id, [...RESPONSE, ...status, ...fields], Flag.END_STREAM);
    }
    return Buffer.concat([
      headerFrames(id, [...RESPONSE, ...at('response headers')], 0),
      data(id, MESSAGE),
      headerFrames(id, [...status, ...at('trailers'), ...at('error trailers')], Flag.END_STREAM),
    ]);
  }
}

function statusAt(place: Place): readonly string[] {
  return place === 'error trailers' ? ['grpc-status', '5'] : TRAILERS;
}

/** The largest frame that a peer takes, unless it says otherwise (RFC 9113 section 6.5.2). */
const FRAME_SIZE = 16_384;

function headerFrames(id: number, fields: readonly string[], flags: number): Buffer {
  const block = fieldBlock(fields);
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += FRAME_SIZE) {
    const piece = block.subarray(at, at + FRAME_SIZE);
    const end = at + FRAME_SIZE >= block.length ? Flag.END_HEADERS : 0;
    frames.push(
      at === 0
        ? frame(FrameType.HEADERS, flags | end, id, piece)
        : frame(FrameType.CONTINUATION, end, id, piece),
    );
  }
  return Buffer.concat(frames);
}

function endingOf({ lists, ended, resetCode }: StreamLog): Ending {
  if (!ended) return resetCode === undefined ? 'lost' : `reset ${resetCode}`;
  const status = fieldValue(lists.at(-1), 'grpc-status');
  return status === undefined ? `http ${fieldValue(lists[0], ':status')}` : `grpc ${status}`;
}
