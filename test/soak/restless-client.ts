import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { messageOf, pause } from '../attacks/attack.js';
import type { Random } from '../support/random.js';

/** An honest client that cancels calls, has short deadlines, and reads large answers slowly. */

const DEADLINE_MILLISECONDS = 200;
/** How late DEADLINE_EXCEEDED may come, on a machine that is busy. */
const LATENESS_MILLISECONDS = 3000;
const MESSAGE = messageOf(1000);
const DOWNLOAD_OCTETS = 1_000_000;
const DEADLINE_EXCEEDED = '4';

export class RestlessClient {
  calls = 0;
  readonly violations: string[] = [];
  readonly #session: ClientHttp2Session;
  readonly #running = new Set<Promise<void>>();
  #isLeaving = false;

  constructor(
    port: number,
    private readonly random: Random,
  ) {
    this.#session = http2.connect(`http://127.0.0.1:${port}`);
    this.#session.on('error', (error) => this.violations.push(`its connection: ${error.message}`));
    this.#session.on('goaway', (code) => this.violations.push(`its connection: GOAWAY ${code}`));
    this.#session.on('close', () => {
      if (!this.#isLeaving) this.violations.push('its connection was closed');
    });
  }

  /** Calls until the signal aborts; resolves when all calls have ended. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#session.closed && !this.#session.destroyed) {
      const make = this.random.pick([this.#cancel, this.#expire, this.#expire, this.#readSlowly]);
      const call = make.call(this);
      this.calls++;
      this.#running.add(call);
      void call.then(() => this.#running.delete(call));
      await pause(this.random.int(50, 150), signal);
    }
    await Promise.all(this.#running);
    this.#isLeaving = true;
    this.#session.destroy();
  }

  /** @param cancels Else node:http2 sends END_STREAM before a RST_STREAM. */
  #open(method: string, fields: Record<string, string>, cancels = false): ClientHttp2Stream {
    const stream = this.#session.request(
      {
        ':method': 'POST',
        ':path': `/common/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...fields,
      },
      { endStream: false, waitForTrailers: cancels },
    );
    stream.on('error', () => {});
    return stream;
  }

  async #cancel(): Promise<void> {
    const stream = this.#open('Hang', {}, true);
    stream.write(MESSAGE);
    const closed = new Promise<void>((resolve) => stream.on('close', () => resolve()));
    setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), this.random.int(0, 300));
    await closed;
  }

  async #expire(): Promise<void> {
    const startedAt = performance.now();
    const stream = this.#open('Hang', { 'grpc-timeout': `${DEADLINE_MILLISECONDS}m` });
    stream.end(MESSAGE);
    let status: unknown;
    stream.on('response', (headers) => {
      status = headers['grpc-status'];
    });
    stream.resume();
    const timer = setTimeout(
      () => stream.close(http2.constants.NGHTTP2_CANCEL),
      DEADLINE_MILLISECONDS + LATENESS_MILLISECONDS,
    );
    await new Promise<void>((resolve) => stream.on('close', () => resolve()));
    clearTimeout(timer);
    if (status === DEADLINE_EXCEEDED) return;
    const lasted = (performance.now() - startedAt).toFixed(0);
    this.violations.push(
      `a deadline of ${DEADLINE_MILLISECONDS} ms: status ${String(status)} after ${lasted} ms`,
    );
  }

  async #readSlowly(): Promise<void> {
    const stream = this.#open('Download', { 'x-bytes': String(DOWNLOAD_OCTETS) });
    stream.end(MESSAGE);
    let octets = 0;
    let status: unknown;
    stream.on('data', (chunk: Buffer) => {
      octets += chunk.length;
      stream.pause();
      setTimeout(() => stream.resume(), this.random.int(1, 40));
    });
    stream.on('trailers', (trailers) => {
      status = trailers['grpc-status'];
    });
    await new Promise<void>((resolve) => stream.on('close', () => resolve()));
    if (status === '0' && octets >= DOWNLOAD_OCTETS) return;
    this.violations.push(`a download of ${octets} octets: status ${String(status)}, reset ${stream.rstCode}`);
  }
}
