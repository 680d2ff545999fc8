import type { Test } from 'tap';
import { Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import type { FramesServerOptions } from '../../../lib/transport/frames/index.js';
import type { StreamAcceptor } from '../../../lib/transport/port.js';
import { type RawPeer, REQUEST } from './raw-peer.js';

/** What a peer does, and how the engine must answer. */
export interface Case {
  /** Names the section. */
  readonly name: string;
  /** What the peer sends, once the prefaces are exchanged. */
  readonly send: readonly Buffer[] | ((peer: RawPeer) => Promise<void>);
  readonly expect: Expectation;
  readonly options?: FramesServerOptions;
  readonly acceptor?: StreamAcceptor;
}

/** GOAWAY with a code; RST_STREAM with a code, the connection going on; or no objection at all. */
export type Expectation =
  | { readonly connection: number }
  | { readonly stream: number; readonly code: number }
  | 'fine';

export const END = Flag.END_STREAM | Flag.END_HEADERS;

/** The request with some fields more, or others in place of its own. */
export function requestWith(...fields: readonly string[]): string[] {
  return [...REQUEST, ...fields];
}

export function requestWithout(name: string): string[] {
  return REQUEST.filter((_, i) => REQUEST[i - (i % 2)] !== name);
}

export function requestReplacing(name: string, value: string): string[] {
  return REQUEST.map((text, i) => (i % 2 === 1 && REQUEST[i - 1] === name ? value : text));
}

export async function assertExpectation(t: Test, peer: RawPeer, expect: Expectation): Promise<void> {
  if (expect === 'fine') {
    await peer.roundTrip();
    t.strictSame(peer.objections, []);
  } else if ('connection' in expect) {
    t.equal(await peer.goAwayCode(), expect.connection, 'GOAWAY');
  } else {
    t.equal(await peer.resetCode(expect.stream), expect.code, 'RST_STREAM');
    await peer.roundTrip();
    t.strictSame(
      peer.objections.filter((f) => f.type === FrameType.GOAWAY),
      [],
      'the connection goes on',
    );
  }
}
