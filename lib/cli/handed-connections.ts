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

/** When a connection is offered again that a worker could not receive, for want of file descriptors: it may have some then. */
const AGAIN_MILLISECONDS = 100;

/**
 * Gives the connections that are on the way to a worker to another one when it dies, or cannot receive them.
 *
 * Node's main process keeps its end of a connection until the worker says that it has taken it, or has not: then it is
 * another's turn. Of a worker that has died neither comes. Nor does Node tell that its channel has ended when a handle is on
 * the way: it would go on to choose the dead for connections to other addresses, and drop these. Nobody would serve any of
 * them, or close it, and its client waits as long as it lives; and the address stays taken in the name of the dead. So both
 * are told in its place, by messages that Node does not document (the same from 20.20 to 26.10; were they others, nothing
 * would be done). A worker without file descriptors says so, but Node forgets the connection, and goes on to wait for its word.
 *
 * @param hasOthers whether there is anybody else to take it; it is closed otherwise
 */
export function rescueConnections({ process }: Worker, hasOthers: () => boolean): void {
  const underway = new Map<number, Handle>();
  /** Those that have not been received: they go one after the other. */
  const sent: number[] = [];
  const giveBack = (ack: number | undefined): void => {
    if (ack !== undefined && underway.has(ack))
      process.emit(INTERNAL, { cmd: 'NODE_CLUSTER', ack, accepted: false }, undefined);
  };
  const send = process.send as (message: ClusterMessage, handle?: Handle, ...rest: unknown[]) => boolean;
  process.send = ((message: ClusterMessage, handle?: Handle, ...rest: unknown[]) => {
    if (message.act === 'newconn' && message.seq !== undefined && typeof handle?.close === 'function') {
      underway.set(message.seq, handle);
      sent.push(message.seq);
    }
    return send.call(process, message, handle, ...rest);
  }) as typeof process.send;
  process.on(INTERNAL, ({ cmd, ack }: ClusterMessage) => {
    if (ack !== undefined) underway.delete(ack);
    if (cmd === 'NODE_HANDLE_ACK') sent.shift();
    if (cmd === 'NODE_HANDLE_NACK') setTimeout(giveBack, AGAIN_MILLISECONDS, sent.shift());
  });
  let isDisconnected = false;
  process.once('disconnect', () => {
    isDisconnected = true;
    // Behind Node's own listener, which takes it off the list of those who get connections.
    setImmediate(() => {
      for (const [ack, handle] of underway) {
        if (hasOthers()) giveBack(ack);
        else handle.close();
      }
      underway.clear();
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
