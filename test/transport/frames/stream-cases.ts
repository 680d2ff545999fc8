import type { Test } from 'tap';
import { FrameType } from '../../../lib/transport/frames/frame.js';
import type { FramesClientOptions } from '../../../lib/transport/frames/index.js';
import { Call, Inbox, RawServer, REQUEST_HEADERS, startClient, startServer } from './fixtures.js';
import { headers, RawPeer, REQUEST } from './raw-peer.js';

export const RESPONSE = [':status', '200'];
export const TRAILERS = ['grpc-status', '0'];

/** A client's stream, and the raw server's end of its connection. */
export async function openCall(t: Test, flowing = true, options: FramesClientOptions = {}) {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target, options);
  const call = new Call(transport, REQUEST_HEADERS, false, flowing);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  return { call, peer, transport, server };
}

export async function openIncoming(t: Test, flowing: boolean, ...sent: Buffer[]) {
  const inbox = new Inbox(flowing);
  const { address, transport } = await startServer(t, inbox);
  const peer = await RawPeer.client(address);
  t.teardown(() => peer.close());
  peer.send(headers(1, REQUEST), ...sent);
  const recorder = await inbox.at(0);
  await peer.roundTrip();
  return { recorder, stream: recorder.stream, peer, inbox, transport };
}

/** How much DATA has come on a stream, and nobody has asked for. */
export function length(peer: RawPeer, streamId: number): number {
  return peer.frames
    .filter((f) => f.type === FrameType.DATA && f.streamId === streamId)
    .reduce((sum, f) => sum + f.payload.length, 0);
}
