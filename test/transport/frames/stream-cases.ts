import type { Test } from 'tap';
import { REQUEST } from '../../support/fields.js';
import { FrameType, headers } from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Call, type ClientOptions, Inbox, startBackend, startClient, startServer } from './fixtures.js';

/** A client's stream, and the raw server's end of its connection. */
export async function openCall(t: Test, flowing = true, options: ClientOptions = {}) {
  const server = await startBackend(t);
  const transport = startClient(t, server.target, options);
  const call = new Call(transport, REQUEST, false, flowing);
  const peer = await (await server.accept()).exchangePrefaces();
  await peer.nextHeaders(1);
  return { call, peer, transport, server };
}

export async function openIncoming(t: Test, flowing: boolean, ...sent: Buffer[]) {
  const inbox = new Inbox(flowing);
  const { address, transport } = await startServer(t, inbox);
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  peer.send(headers(1, REQUEST), ...sent);
  const recorder = await inbox.at(0);
  await peer.roundTrip();
  return { recorder, stream: recorder.stream, peer, inbox, transport };
}

/** How much DATA has come on a stream, and nobody has asked for. */
export function length(peer: FramePeer, streamId: number): number {
  return peer.frames
    .filter((f) => f.type === FrameType.DATA && f.streamId === streamId)
    .reduce((sum, f) => sum + f.payload.length, 0);
}
