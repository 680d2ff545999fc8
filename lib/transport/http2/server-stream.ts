import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Account } from '../../port/account.js';
import { ErrorCode } from '../../port/error-code.js';
import type { HeaderList } from '../../port/headers.js';
import type { IncomingStream } from '../../port/stream.js';
import type { Carrier } from './carrier.js';
import { sendFields } from './fields.js';
import { NodeStream } from './stream.js';
import { destroyLater } from './stream-resets.js';

/** A proxy adds no `date` of its own; the option is missing from the types. */
const withoutDate: object = { sendDate: false };

/** A stream that a client opened on a session of ours. */
export class NodeServerStream extends NodeStream<ServerHttp2Stream> implements IncomingStream {
  constructor(node: ServerHttp2Stream, carrier: Carrier, ended: boolean) {
    super(carrier);
    this.remoteEnded = ended;
    this.adopt(node);
    // It can have been reset before Node gave it.
    if (node.aborted) this.aborted();
    // The stream closes only once its end has been read. What comes before somebody reads is held, too.
    else if (ended) node.resume();
    else carrier.waiting.add(this);
  }

  get account(): Account {
    return this.carrier.account;
  }

  get socket(): Socket {
    return this.carrier.socket;
  }

  sendHeaders(headers: HeaderList, endStream: boolean): void {
    const node = this.node!;
    if (this.isDone || this.localEnded || node.destroyed || node.closed) return;
    if (endStream) this.localEnded = true;
    if (!this.takesHeaders(headers)) return;
    if (node.headersSent) {
      this.trailers = headers;
      node.end();
      return;
    }
    try {
      sendFields(headers, 'response', (fields) => {
        node.respond(fields, { endStream, waitForTrailers: !endStream, ...withoutDate });
      });
    } catch (error) {
      this.fail(`the response headers cannot be sent: ${(error as Error).message}`);
    }
  }

  /**
   * Node lets a stream that was reset with NO_ERROR live until all that it holds has been read, and written. That is
   * for what a server has answered (RFC 9113 section 8.1): a client's reset says no more than that it has gone.
   */
  override aborted(): void {
    const node = this.node!;
    if (node.rstCode === ErrorCode.NO_ERROR && !this.isDone) destroyLater(node);
  }
}
