import net, { type OnReadOpts, type Socket, type SocketConstructorOpts } from 'node:net';
import { endRead, READ_MEMORY } from '../read-memory.js';

/** Takes what a socket receives; the memory is valid during the call only. */
export type ChunkListener = (chunk: Buffer) => void;

/** Where a socket that reads into {@link READ_MEMORY} has its listener. */
const inputOf = Symbol('input');

interface Input {
  listener: ChunkListener | undefined;
}

/** Gives what a socket receives from now on to `listener`. */
export function listenTo(socket: Socket, listener: ChunkListener): void {
  const { [inputOf]: input } = socket as Socket & { [inputOf]?: Input };
  if (input !== undefined) input.listener = listener;
  else socket.on('data', listener);
}

/** Connects a socket that reads into {@link READ_MEMORY}. */
export function connectDirectly(target: net.NetConnectOpts): Socket {
  return makeDirect((onread) => net.connect({ ...target, onread }));
}

/**
 * The connection of an accepted socket that nothing has been read from (`pauseOnConnect`), as a socket that reads
 * into {@link READ_MEMORY}. `net.Server` has no option for that. So it takes what Node does not document, a socket's
 * handle and the constructor's option for one, by which `net.Server` makes sockets itself; where they are missing, the
 * accepted socket stays, and reads as all sockets do.
 */
export function acceptDirectly(accepted: Socket): Socket {
  const { _handle: handle } = accepted as Socket & { _handle?: { useUserBuffer?: unknown } };
  if (typeof handle?.useUserBuffer !== 'function') {
    accepted.resume();
    return accepted;
  }
  Object.assign(accepted, { _handle: null });
  // All that it has left to close is its place among the server's connections.
  accepted.destroy();
  return makeDirect((onread) => new net.Socket({ handle, onread } as SocketConstructorOpts));
}

function makeDirect(make: (onread: OnReadOpts) => Socket): Socket {
  const input: Input = { listener: undefined };
  const callback = (length: number): boolean => {
    try {
      input.listener?.(READ_MEMORY.subarray(0, length));
    } finally {
      endRead();
    }
    return true;
  };
  return Object.assign(make({ buffer: READ_MEMORY, callback }), { [inputOf]: input });
}
