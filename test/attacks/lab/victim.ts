import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { messageOf } from '../attack.js';
import { count, Experience } from './experience.js';

const MESSAGE = messageOf(100);
/** Between two calls: about 80 a second, whatever becomes of those before. */
const CALL_MILLISECONDS = 12.5;
const DEADLINE_SECONDS = 5;
/** After its deadline a call that has not ended is one that the proxy has forgotten. */
const PATIENCE_MILLISECONDS = 7000;
const REOPEN_MILLISECONDS = 100;

/** How a call or a stream of a victim ended. */
export interface CallEnd {
  readonly kind: 'call' | 'stream';
  readonly startedAt: number;
  readonly endedAt: number;
  /** The status, if there was one and all else was as it should be. */
  readonly code: number | undefined;
  /** For people. */
  readonly what: string;
}

export interface VictimOptions {
  /** The backend, as the proxy knows it. */
  readonly service: string;
  /** Between two calls; by default for 80 a second. */
  readonly callMilliseconds?: number;
  /** Hears of every end, but those of the victim's own departure. */
  readonly onEnd?: (end: CallEnd) => void;
}

/**
 * An honest client with a connection of its own: small unary calls, as many a second whatever becomes of them, and one
 * stream from the server that never ends. It connects anew when its connection is lost, which counts as a failure.
 */
export class Victim {
  #session: ClientHttp2Session | undefined;
  #experience = new Experience();
  readonly #timer: NodeJS.Timeout;
  #isStopped = false;
  #calls = 0;
  readonly #startedAt = performance.now();
  readonly #callMilliseconds: number;

  constructor(
    private readonly port: number,
    private readonly options: VictimOptions,
  ) {
    this.#callMilliseconds = options.callMilliseconds ?? CALL_MILLISECONDS;
    this.#timer = setInterval(() => this.#callWhatIsDue(), this.#callMilliseconds);
  }

  /** From now on calls count for another experience; resolves with the one until now, once its calls have ended. */
  async next(): Promise<Experience> {
    const experience = this.#experience;
    this.#experience = new Experience();
    await experience.settled();
    return experience;
  }

  async stop(): Promise<Experience> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    const experience = await this.next();
    this.#session?.destroy();
    return experience;
  }

  /** Goes, whatever is running. */
  destroy(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    this.#session?.destroy();
  }

  #connect(): ClientHttp2Session {
    const session = http2.connect(`http://127.0.0.1:${this.port}`);
    session.on('error', (error) => count(this.#experience.connectionFailures, error.message));
    session.on('goaway', (code) => {
      count(this.#experience.connectionFailures, `GOAWAY ${code}`);
      if (this.#session === session) this.#session = undefined;
    });
    session.on('close', () => {
      if (this.#session === session) this.#session = undefined;
    });
    this.#session = session;
    this.#watch(session);
    return session;
  }

  #callWhatIsDue(): void {
    // A timer that is late makes up for it: the load is the same at any latency.
    const due = (performance.now() - this.#startedAt) / this.#callMilliseconds;
    for (; this.#calls < due; this.#calls++) this.#call(this.#usableSession());
  }

  #usableSession(): ClientHttp2Session {
    const session = this.#session;
    return session === undefined || session.closed || session.destroyed ? this.#connect() : session;
  }

  #open(session: ClientHttp2Session, method: string, fields: Record<string, string> = {}): ClientHttp2Stream {
    return session.request({
      ':method': 'POST',
      ':path': `/${this.options.service}/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...fields,
    });
  }

  #call(session: ClientHttp2Session): void {
    const experience = this.#experience;
    const startedAt = performance.now();
    let octets = 0;
    let isForgotten = false;
    experience.begin();
    const stream = this.#open(session, 'Echo', { 'grpc-timeout': `${DEADLINE_SECONDS}S` });
    const timer = setTimeout(() => {
      isForgotten = true;
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }, PATIENCE_MILLISECONDS);
    stream.on('data', (chunk: Buffer) => {
      octets += chunk.length;
    });
    onStatus(stream, (code, text) => {
      clearTimeout(timer);
      const isWhole = code !== 0 || octets === MESSAGE.length;
      const what = isForgotten ? 'no end' : isWhole ? text : `OK with ${octets} octets`;
      const isKnown = !isForgotten && isWhole;
      experience.end(isKnown && code === 0 ? undefined : what, performance.now() - startedAt);
      this.#tell({
        kind: 'call',
        startedAt,
        endedAt: performance.now(),
        code: isKnown ? code : undefined,
        what,
      });
    });
    stream.end(MESSAGE);
  }

  /** Keeps a stream from the server, for as long as the session lives. */
  #watch(session: ClientHttp2Session): void {
    const startedAt = performance.now();
    const stream = this.#open(session, 'Ticks');
    stream.on('data', () => {
      this.#experience.ticks++;
    });
    onStatus(stream, (code, what) => {
      if (this.#isStopped) return;
      count(this.#experience.streamFailures, what);
      this.#tell({ kind: 'stream', startedAt, endedAt: performance.now(), code, what });
      setTimeout(() => {
        if (this.#session === session && !this.#isStopped) this.#watch(session);
      }, REOPEN_MILLISECONDS);
    });
    stream.end(messageOf(5));
  }

  #tell(end: CallEnd): void {
    if (!this.#isStopped || end.kind === 'call') this.options.onEnd?.(end);
  }
}

/** Tells how a stream has ended: by a status, or without. */
function onStatus(stream: ClientHttp2Stream, tell: (code: number | undefined, what: string) => void): void {
  let status: { code: number; text: string } | undefined;
  const note = (headers: IncomingHttpHeaders): void => {
    const code = headers['grpc-status'];
    const message = String(headers['grpc-message'] ?? '');
    if (code !== undefined) status = { code: Number(code), text: `status ${String(code)} ${message}`.trim() };
  };
  stream.on('error', () => {});
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('close', () => tell(status?.code, status?.text ?? `reset ${stream.rstCode}`));
}
