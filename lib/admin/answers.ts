import type { ServerResponse } from 'node:http';
import { ADMIN_LIMITS } from './defaults.js';

/** What is written at a time: as much as waits in a socket at most. */
const SLICE_BYTES = 64 * 1024;

/** Whatever a page of here may do: load what is here. No other page shows, or frames, anything of it. */
const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

/** An answer but for its head. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A line of text as an answer. */
export function line(status: number, text: string, headers?: Readonly<Record<string, string>>): Answer {
  const contentType = 'text/plain; charset=utf-8';
  return { status, contentType, body: `${text}\n`, ...(headers && { headers }) };
}

/** Gives answers to clients that may be slow to read them: all that wait hold so much, and for so long. */
export class Answers {
  #heldBytes = 0;
  /** The last text and its bytes: those who ask at the same time are often given the same. */
  #last: { readonly text: string; readonly bytes: Buffer } | undefined;

  /** Writes the head of an answer that never is stored: it is true now. */
  head(response: ServerResponse, status: number, headers: Readonly<Record<string, string | number>>): void {
    response.writeHead(status, { ...SECURITY_HEADERS, 'cache-control': 'no-store', ...headers });
  }

  send(response: ServerResponse, answer: Answer): void {
    if (response.destroyed || response.headersSent) return;
    const { status, contentType, headers } = answer;
    const body = this.#bytesOf(answer.body);
    // What fits into a socket's buffer is bounded by the number of connections.
    const isLarge = body.length > SLICE_BYTES;
    if (isLarge && this.#heldBytes > 0 && this.#heldBytes + body.length > ADMIN_LIMITS.heldAnswerBytes) {
      this.send(response, line(503, 'others are reading too much already'));
      return;
    }
    this.head(response, status, { 'content-type': contentType, 'content-length': body.length, ...headers });
    if (response.req.method === 'HEAD') response.end();
    else this.#write(response, body);
  }

  #write(response: ServerResponse, body: Buffer): void {
    this.#heldBytes += body.length;
    const timer = setTimeout(() => response.destroy(), ADMIN_LIMITS.answerMilliseconds).unref();
    response.once('close', () => {
      clearTimeout(timer);
      this.#heldBytes -= body.length;
      if (this.#heldBytes === 0) this.#last = undefined;
    });
    let offset = 0;
    const writeOn = (): void => {
      while (offset < body.length) {
        const slice = body.subarray(offset, offset + SLICE_BYTES);
        offset += slice.length;
        if (!response.write(slice)) {
          response.once('drain', writeOn);
          return;
        }
      }
      response.end();
    };
    writeOn();
  }

  #bytesOf(body: string | Buffer): Buffer {
    if (typeof body !== 'string') return body;
    if (body.length <= SLICE_BYTES) return Buffer.from(body);
    if (this.#last?.text !== body) this.#last = { text: body, bytes: Buffer.from(body) };
    return this.#last.bytes;
  }
}
