import net, { type Socket } from 'node:net';
import { lendableMemory } from '../../../port/lent-memory.js';

/** What all sockets are read into, one after the other: what a read brings is delivered before the next. */
const READ_MEMORY = lendableMemory(64 * 1024);

/** Takes what a socket receives; the memory is valid during the call only. */
type ChunkListener = (chunk: Buffer) => void;

/**
 * Where a socket has what its option `onread` was: memory to read into, and whom to call then. Only who makes a
 * socket can give it that option, and accepted sockets are made by Node. So it is set the way that the constructor of
 * `net.Socket` sets it, which is not documented; where a Node does it otherwise, sockets are read as all are.
 */
const [kBuffer, kBufferCb] = ['kBuffer', 'kBufferCb'].map((name) =>
  Object.getOwnPropertySymbols(new net.Socket()).find(({ description }) => description === name),
);

interface Handle {
  useUserBuffer?: (memory: Uint8Array) => void;
}

/** Gives what a socket receives from now on to `listener`, read into {@link READ_MEMORY} where that can be done. */
export function listenTo(socket: Socket, listener: ChunkListener): void {
  // It also begins to read, and gives what has been read already (TLS, behind the handshake).
  socket.on('data', listener);
  const { _handle: handle } = socket as Socket & { _handle?: Handle | null };
  if (kBuffer === undefined || kBufferCb === undefined || handle?.useUserBuffer === undefined) return;
  const onRead = (length: number): boolean => {
    listener(READ_MEMORY.subarray(0, length));
    return true;
  };
  Object.assign(socket, { [kBuffer]: READ_MEMORY, [kBufferCb]: onRead });
  handle.useUserBuffer(READ_MEMORY);
}
