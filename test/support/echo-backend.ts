import { RESPONSE, TRAILERS } from './fields.js';
import { data, END, Flag, FrameType, headers, Setting, settings, windowUpdate } from './frame.js';
import { FrameBackend } from './frame-backend.js';
import type { FramePeer } from './frame-peer.js';
import type { Wire } from './wire.js';

const LARGE_WINDOW = 2 ** 30;

/**
 * A backend that sends back what it gets, and knows no limits: node:http2's own would end the connection that honest
 * calls share with hostile ones after a thousand resets, on Node 20 whatever it is told.
 */
export function startEchoBackend(wire: Wire): Promise<FrameBackend> {
  return FrameBackend.start(echo, wire);
}

async function echo(connection: FramePeer): Promise<void> {
  connection.acknowledges = true;
  connection.send(settings([Setting.INITIAL_WINDOW_SIZE, LARGE_WINDOW]), windowUpdate(0, LARGE_WINDOW));
  const answered = new Set<number>();
  let endsStream = false;
  for (;;) {
    const { type, flags, streamId, payload } = await connection.next(() => true);
    const isBlock = type === FrameType.HEADERS || type === FrameType.CONTINUATION;
    if (type === FrameType.HEADERS || type === FrameType.DATA) endsStream = (flags & Flag.END_STREAM) !== 0;
    if (type === FrameType.RST_STREAM) answered.delete(streamId);
    const replies: Buffer[] = [];
    const endsBlock = isBlock && (flags & Flag.END_HEADERS) !== 0;
    // DATA before the headers would be a breach of the protocol: node:http2 hangs by it.
    if (endsBlock && !answered.has(streamId)) {
      answered.add(streamId);
      replies.push(headers(streamId, RESPONSE));
    }
    if (type === FrameType.DATA && payload.length > 0) replies.push(data(streamId, payload));
    if (endsStream && (type === FrameType.DATA || endsBlock)) {
      answered.delete(streamId);
      replies.push(headers(streamId, TRAILERS, END));
    }
    if (replies.length > 0 && connection.socket.writable) connection.send(...replies);
  }
}
