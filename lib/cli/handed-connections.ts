import type { Worker } from 'node:cluster';
import { nextTick } from 'node:process';

/** What Node's main process sends to a worker with a connection, and gets back (`lib/internal/cluster/utils.js`). */
interface ClusterMessage {
  readonly cmd?: string;
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
}

interface Handle {
  close(): void;
}

/**
 * Gives the connections that are on the way to a worker to another one when it dies.
 *
 * Node's main process keeps its end of a connection until the worker says that it has taken it, or has not: then it is
 * another's turn. Of a worker that has died neither comes. Nor does Node tell that its channel has ended when a handle is on
 * the way: it would go on to choose the dead for connections to other addresses, and drop these. Nobody would serve any of
 * them, or close it, and its client waits as long as it lives; and the address stays taken in the name of the dead. So both
 * are told in its place, by messages that Node does not document (the same from 20.20 to 26.10; were they others, nothing
 * would be done).
 *
 * @param hasOthers whether there is anybody else to take it; it is closed otherwise
 */
export function rescueConnections({ process }: Worker, hasOthers: () => boolean): void {
  const underway = new Map<number, Handle>();
  const send = process.send as (message: ClusterMessage, handle?: Handle, ...rest: unknown[]) => boolean;
  process.send = ((message: ClusterMessage, handle?: Handle, ...rest: unknown[]) => {
    if (message.act === 'newconn' && message.seq !== undefined && typeof handle?.close === 'function') {
      underway.set(message.seq, handle);
    }
    return send.call(process, message, handle, ...rest);
  }) as typeof process.send;
  process.on(INTERNAL, ({ ack }: ClusterMessage) => {
    if (ack !== undefined) underway.delete(ack);
  });
  let isDisconnected = false;
  process.once('disconnect', () => {
    isDisconnected = true;
    // Behind Node's own listener, which takes it off the list of those who get connections.
    setImmediate(() => {
      for (const [ack, handle] of underway) {
        if (hasOthers()) process.emit(INTERNAL, { cmd: 'NODE_CLUSTER', ack, accepted: false }, undefined);
        else handle.close();
      }
    });
  });
  // Node calls this when it has read the channel to its end, and from then on sends nothing more. What has come by it is
  // heard first, and so is Node when it tells it itself.
  const { disconnect } = process;
  process.disconnect = () => {
    disconnect.call(process);
    nextTick(() => {
      if (!isDisconnected) process.emit('disconnect');
    });
  };
}

/** The types know only of messages of ours. */
const INTERNAL = 'internalMessage' as 'message';
