import { Flag, type Frame, FrameType } from './frame.js';

/** Throws unless what the engine has sent is a sequence of frames that a server may send. */
export function judgeOutput(peer: { readonly frames: readonly Frame[] }): void {
  const states = new Map<number, 'open' | 'ended' | 'reset'>();
  for (const { type, flags, streamId, payload } of peer.frames) {
    if (payload.length > 16384) throw new Error('frame too large');
    if (streamId === 0) {
      if (
        ![FrameType.SETTINGS, FrameType.PING, FrameType.GOAWAY, FrameType.WINDOW_UPDATE].includes(type as 4)
      ) {
        throw new Error(`type ${type} on stream 0`);
      }
      continue;
    }
    if (streamId % 2 === 0) {
      if (type !== FrameType.RST_STREAM) throw new Error('frame on an even stream');
      continue;
    }
    const state = states.get(streamId);
    if (type === FrameType.RST_STREAM) {
      states.set(streamId, 'reset');
    } else if (type === FrameType.WINDOW_UPDATE) {
      if (state === 'reset') throw new Error('WINDOW_UPDATE behind RST_STREAM');
    } else if (type === FrameType.HEADERS || type === FrameType.DATA) {
      if (state === 'ended' || state === 'reset')
        throw new Error(`type ${type} on a stream that is ${state}`);
      if (state === undefined && type === FrameType.DATA) throw new Error('DATA before HEADERS');
      states.set(streamId, (flags & Flag.END_STREAM) !== 0 ? 'ended' : 'open');
    } else {
      throw new Error(`type ${type} on a stream`);
    }
  }
}
