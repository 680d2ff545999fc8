import type { Worker } from 'node:cluster';

/** A connection as node:cluster has it in the main process: below `net.Socket`. */
interface Handle {
  close(): void;
}

/** What node:cluster and a worker tell each other of a connection, each by the number of the message that hands it over. */
interface Handing {
  readonly act?: unknown;
  readonly seq?: unknown;
}

interface Acknowledgement {
  readonly ack?: unknown;
}

type Send = (message: Handing, handle?: Handle, ...rest: readonly unknown[]) => boolean;

/**
 * The main process accepts connections, hands each to a worker, and closes its own end of it once that has said that it
 * takes it. Of a worker that dies before (killed, say) node:cluster never hears, and it keeps such a connection open for
 * ever, with nobody to read it: its client would wait for answers as long as it lives. So those are closed here, by
 * messages that Node does not document (the same from 20.20 to 26.10; were they others, nothing would be done).
 */
export function closeUntakenConnections({ process }: Worker): void {
  const untaken = new Map<unknown, Handle>();
  const send = process.send!.bind(process) as unknown as Send;
  process.send = ((message: Handing, handle?: Handle, ...rest: readonly unknown[]) => {
    if (handle !== undefined && message.act === 'newconn') untaken.set(message.seq, handle);
    return send(message, handle, ...rest);
  }) as unknown as typeof process.send;
  process.on('internalMessage' as 'message', (message: unknown) => {
    untaken.delete((message as Acknowledgement).ack);
  });
  process.on('exit', () => {
    for (const handle of untaken.values()) handle.close();
    untaken.clear();
  });
}
