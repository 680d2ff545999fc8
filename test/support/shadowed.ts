import {
  type CallOutcome,
  encodeMessage,
  type ProxyOptions,
  type ShadowDestination,
  type ShadowOutcome,
  type StatusError,
  type StreamParameters,
} from '../../lib/index.js';
import type { World } from './behaviour.js';
import { eventually } from './eventually.js';
import { RESPONSE, TRAILERS } from './fields.js';
import {
  data,
  dataOf,
  END,
  ErrorCode,
  errorCode,
  FrameType,
  headers,
  Setting,
  settings,
  windowUpdate,
} from './frame.js';
import type { FramePeer } from './frame-peer.js';
import { type OnRequest, respond } from './http2-backend.js';
import { collectResponse } from './http2-client.js';
import { MESSAGE, METHOD } from './unary.js';

/** Answers with a message once it has the whole request. */
export const answer: OnRequest = async ({ stream, body }) => {
  const { aborted } = await body();
  if (!aborted) respond(stream, MESSAGE);
};

/** Takes requests, and answers none. */
export const silent: OnRequest = ({ stream }) => void stream.resume();

/** A message of so many bytes, prefix included. */
export function messageOf(length: number): Buffer {
  return encodeMessage(Buffer.alloc(length - 5, 'm'));
}

/** What a director says besides who is the primary. */
type Rest = Omit<StreamParameters, 'primary'>;

/** A proxy to a primary that answers, besides what `rest` says; and what its observer hears. */
export async function shadowed(
  world: World,
  rest: Rest | (() => Rest),
  { primary = answer, options }: { primary?: OnRequest; options?: ProxyOptions } = {},
) {
  const backend = await world.http2Backend(primary, { settings: { initialWindowSize: 2 ** 24 } });
  const conn = world.dial(backend.port);
  const calls: CallOutcome[] = [];
  const shadows: ShadowOutcome[] = [];
  const { server, port } = await world.proxy(
    () => ({ primary: { conn }, ...(typeof rest === 'function' ? rest() : rest) }),
    {
      observer: {
        onCall: (outcome) => void calls.push(outcome),
        onShadow: (outcome) => void shadows.push(outcome),
      },
    },
    options,
  );
  return {
    server,
    port,
    client: world.http2Client(port),
    calls,
    shadows,
    /** The results of the shadows that have ended, once there are as many. */
    async results(count = 1): Promise<string[]> {
      await eventually(`${count} shadows have ended, not ${shadows.length}`, () => shadows.length >= count);
      return shadows.map(({ result }) => result);
    },
  };
}

/** A shadow, and what its error handler is told. */
export function listening(shadow: ShadowDestination): { shadow: ShadowDestination; told: StatusError[] } {
  const told: StatusError[] = [];
  const errHandler = (error: StatusError): undefined => void told.push(error);
  return { shadow: { ...shadow, errHandler }, told };
}

/** A raw backend, whose streams have this window at first. */
export async function rawShadow(world: World, window = 2 ** 24, more: Omit<ShadowDestination, 'conn'> = {}) {
  const backend = await world.frameBackend((connection) => {
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, window]), windowUpdate(0, 2 ** 24));
  });
  const { shadow, told } = listening({ conn: world.dial(backend.port), ...more });
  return { backend, shadow, told };
}

/** Answers OK on a stream of a raw backend. */
export function answerOn(connection: FramePeer, streamId = 1): void {
  connection.send(headers(streamId, RESPONSE), data(streamId, MESSAGE), headers(streamId, TRAILERS, END));
}

/** Waits for the whole request of a stream. */
export async function requestOn(connection: FramePeer, streamId = 1): Promise<Buffer> {
  await connection.until(() => connection.hasEnded(streamId));
  return dataOf(connection.of(streamId, FrameType.DATA));
}

/** Waits until a stream has been reset; whether by CANCEL, and without END_STREAM before it. */
export async function wasCancelled(connection: FramePeer, streamId = 1): Promise<boolean> {
  const reset = await connection.first(streamId, FrameType.RST_STREAM);
  await connection.roundTrip();
  return errorCode(reset) === ErrorCode.CANCEL && !connection.hasEnded(streamId);
}

/** A call whose request is complete at a shadow that has not answered, and at a primary that does as it is told. */
export async function complete(
  world: World,
  more: Omit<ShadowDestination, 'conn'> = {},
  primary?: OnRequest,
  timeout?: string,
) {
  const raw = await rawShadow(world, 2 ** 24, more);
  const proxy = await shadowed(world, { shadows: [raw.shadow] }, { primary });
  const stream = proxy.client.open(METHOD, timeout === undefined ? {} : { 'grpc-timeout': timeout }, true);
  const response = collectResponse(stream);
  stream.on('wantTrailers', () => stream.sendTrailers({}));
  stream.end(MESSAGE);
  const connection = await raw.backend.accept();
  await requestOn(connection);
  return { ...raw, ...proxy, stream, response, connection };
}

/** A call whose request is not complete, and what has come of it has reached the shadow. */
export async function incomplete(world: World, primary?: OnRequest, timeout?: string) {
  const raw = await rawShadow(world);
  const proxy = await shadowed(world, { shadows: [raw.shadow] }, { primary });
  const stream = proxy.client.open(METHOD, timeout === undefined ? {} : { 'grpc-timeout': timeout }, true);
  const response = collectResponse(stream);
  stream.write(MESSAGE);
  const connection = await raw.backend.accept();
  await connection.first(1, FrameType.DATA);
  return { ...raw, ...proxy, stream, response, connection };
}

/** Raw backends as a quorum. */
export async function rawQuorum(world: World, need: number, windows: readonly number[], primary?: OnRequest) {
  const raws = await Promise.all(windows.map((window) => rawShadow(world, window)));
  const of = raws.map(({ shadow }) => shadow);
  return { raws, ...(await shadowed(world, { secondaries: { of, need } }, { primary })) };
}
