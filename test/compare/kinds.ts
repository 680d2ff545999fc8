import type { ServerHttp2Stream } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { encodeMessage, MessageParser } from '../../lib/index.js';
import type { Request } from '../support/http2-backend.js';
import { Random } from '../support/random.js';

/** What calls are like. */
export const KINDS = [
  'unary',
  'empty',
  'server-stream',
  'client-stream',
  'bidi',
  'large',
  'failing',
  'trailers-only',
  'compressed',
] as const;

export type Kind = (typeof KINDS)[number];

/** A byte of a message that one backend answers otherwise. */
export interface Plant {
  readonly call: number;
  readonly index: number;
  readonly offset: number;
}

/** One of two backends of the same version. */
export interface BackendOptions {
  /** They compress the same in different ways. */
  readonly gzipLevel: number;
  /** Each takes its own time: which is first, differs. */
  readonly random: Random;
  /** How many messages a `server-stream` has. */
  readonly streamLength: number;
  readonly plant: Plant | undefined;
}

const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

/** What both backends answer to the call with this number, apart from those that depend on the request. */
function answerTo(kind: Kind, call: number, streamLength: number): Buffer[] {
  const random = new Random(call);
  const some = (count: number, length: number) =>
    Array.from({ length: count }, () => random.bytes(random.int(1, length)));
  switch (kind) {
    case 'unary':
      return some(1, 200);
    case 'server-stream':
      return some(streamLength, 40);
    case 'large':
      return some(random.int(1, 2), 300_000);
    case 'failing':
      return some(random.int(0, 2), 40);
    case 'compressed':
      return some(random.int(1, 3), 40).map((text) => Buffer.from(text.toString('hex').repeat(20)));
    default:
      return [];
  }
}

/** Answers a call of any kind. */
export async function answer({ stream, headers, body }: Request, options: BackendOptions): Promise<void> {
  const kind = String(headers[':path']).split('/')[2] as Kind;
  const call = Number(headers['x-call']);
  const { random, plant } = options;
  for (let turns = random.int(0, 2); turns > 0; turns--) await turn();
  if (kind === 'bidi') {
    echo(stream);
    return;
  }
  const { data } = await body();
  if (kind === 'trailers-only') {
    stream.respond({ ...HEADERS, 'grpc-status': '5', 'grpc-message': 'no' }, { endStream: true });
    return;
  }
  const payloads =
    kind === 'client-stream' ? [Buffer.from(`${data.length}`)] : answerTo(kind, call, options.streamLength);
  if (plant?.call === call) payloads[plant.index]![plant.offset]! ^= 1;
  const isCompressed = kind === 'compressed';
  const sent = payloads.map((payload) =>
    isCompressed
      ? encodeMessage(gzipSync(payload, { level: options.gzipLevel }), true)
      : encodeMessage(payload),
  );
  stream.respond(
    { ...HEADERS, ...(isCompressed ? { 'grpc-encoding': 'gzip' } : {}) },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': kind === 'failing' ? '9' : '0' }));
  // In frames that differ from one backend to the other.
  const bytes = Buffer.concat(sent);
  const size = random.pick([1000, 16_000, 100_000]);
  for (let offset = 0; offset < bytes.length; offset += size) {
    if (!stream.write(bytes.subarray(offset, offset + size))) await turn();
  }
  stream.end();
}

function echo(stream: ServerHttp2Stream): void {
  const parser = new MessageParser((payload) => stream.write(encodeMessage(payload)));
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.on('data', (chunk: Buffer) => parser.push(chunk));
  stream.on('end', () => stream.end());
}

/** The messages of a request. */
export function request(kind: Kind, call: number): Buffer[] {
  const random = new Random(~call);
  const count = kind === 'client-stream' || kind === 'bidi' ? random.int(1, 5) : 1;
  return Array.from({ length: count }, () => encodeMessage(random.bytes(random.int(0, 100))));
}
