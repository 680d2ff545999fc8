import http2, { type ClientHttp2Session } from 'node:http2';
import { encodeMessage } from '../../../lib/index.js';

const MESSAGE = encodeMessage(Buffer.alloc(100, 'v'));
/** Between two calls: about 80 a second, whatever becomes of those before. */
const CALL_MILLISECONDS = 12.5;
const DEADLINE_SECONDS = 5;
/** After its deadline a call that has not ended is one that the proxy has forgotten. */
const PATIENCE_MILLISECONDS = 7000;

/** What became of a victim's calls in some time. */
export class Experience {
  /** Latencies of calls that ended OK, in milliseconds. */
  readonly latencies: number[] = [];
  /** Calls that did not, by what they were told. */
  readonly failures = new Map<string, number>();
  calls = 0;
  /** Ends of the server stream, by what it was told. */
  readonly streamFailures = new Map<string, number>();
  /** Errors of its own connection. */
  readonly connectionFailures = new Map<string, number>();
  readonly #startedAt = performance.now();
  #endedAt: number | undefined;
  /** Times that something came on the server stream. */
  ticks = 0;
  pending = 0;
  #onNone: (() => void) | undefined;

  begin(): void {
    this.calls++;
    this.pending++;
  }

  end(failure: string | undefined, milliseconds: number): void {
    if (failure === undefined) this.latencies.push(milliseconds);
    else count(this.failures, failure);
    this.pending--;
    if (this.pending === 0) this.#onNone?.();
  }

  /** No more calls will begin. Resolves when all have ended, which they must. */
  settled(): Promise<void> {
    this.#endedAt = performance.now();
    if (this.pending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onNone = resolve;
    });
  }

  /** How long calls began. */
  get seconds(): number {
    return ((this.#endedAt ?? performance.now()) - this.#startedAt) / 1000;
  }

  get successPercent(): number {
    return this.calls === 0 ? 0 : (100 * (this.calls - sum(this.failures))) / this.calls;
  }

  /** @param quantile from 0 to 1 */
  latency(quantile: number): number {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return (
      sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? Number.POSITIVE_INFINITY
    );
  }
}

function count(failures: Map<string, number>, failure: string): void {
  failures.set(failure, (failures.get(failure) ?? 0) + 1);
}

function sum(failures: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const number of failures.values()) total += number;
  return total;
}

/** For people. */
export function describeFailures(failures: ReadonlyMap<string, number>): string {
  return [...failures].map(([what, number]) => `${number} × ${what}`).join(', ');
}

/**
 * Makes honest calls, small and large, until a process that serves them has warmed up: its code is compiled, and its
 * heap as large as calls make it.
 */
export async function warmUp(port: number, calls: number): Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    for (const body of [MESSAGE, encodeMessage(Buffer.alloc(1_000_000))]) {
      const parallel = body === MESSAGE ? 100 : 4;
      const rounds = Math.ceil(calls / (body === MESSAGE ? parallel : 100 * parallel));
      for (let round = 0; round < rounds; round++) {
        await Promise.all(Array.from({ length: parallel }, () => echo(session, body)));
      }
    }
  } finally {
    session.destroy();
  }
}

function echo(session: ClientHttp2Session, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/common/Echo',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', reject);
    stream.on('close', resolve);
    stream.resume();
    stream.end(body);
  });
}

/**
 * An honest client with a connection of its own: some 80 small unary calls a second, and one stream from the server
 * that never ends. It connects anew when its connection is lost, which counts as a failure.
 */
export class Victim {
  #session: ClientHttp2Session | undefined;
  #experience = new Experience();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #calls = 0;
  readonly #startedAt = performance.now();

  /** @param service the backend, as the proxy knows it */
  constructor(
    private readonly port: number,
    private readonly service: string,
    private readonly hasStream = true,
  ) {
    this.#connect();
    this.#timer = setInterval(() => this.#callWhatIsDue(), CALL_MILLISECONDS);
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

  #connect(): void {
    if (this.#isStopped) return;
    const session = http2.connect(`http://127.0.0.1:${this.port}`);
    this.#session = session;
    session.on('error', (error) => count(this.#experience.connectionFailures, error.message));
    session.on('goaway', (code) => count(this.#experience.connectionFailures, `GOAWAY ${code}`));
    session.on('close', () => {
      if (this.#session === session) this.#session = undefined;
    });
    if (this.hasStream) this.#stream(session);
  }

  #callWhatIsDue(): void {
    if (this.#session === undefined || this.#session.closed) this.#connect();
    // A timer that is late makes up for it: the load is the same at any latency.
    const due = (performance.now() - this.#startedAt) / CALL_MILLISECONDS;
    while (this.#calls < due) {
      this.#calls++;
      this.#call();
    }
  }

  #open(method: string, timeout: Record<string, string>) {
    return this.#session!.request({
      ':method': 'POST',
      ':path': `/${this.service}/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...timeout,
    });
  }

  #call(): void {
    const experience = this.#experience;
    const startedAt = performance.now();
    let octets = 0;
    let status: string | undefined;
    experience.begin();
    const stream = this.#open('Echo', { 'grpc-timeout': `${DEADLINE_SECONDS}S` });
    const timer = setTimeout(() => {
      status = 'no end';
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }, PATIENCE_MILLISECONDS);
    const noteStatus = (headers: http2.IncomingHttpHeaders): void => {
      const code = headers['grpc-status'];
      if (code !== undefined) status = `status ${code} ${headers['grpc-message'] ?? ''}`.trim();
    };
    stream.on('error', () => {});
    stream.on('response', noteStatus);
    stream.on('trailers', noteStatus);
    stream.on('data', (chunk: Buffer) => {
      octets += chunk.length;
    });
    stream.on('close', () => {
      clearTimeout(timer);
      const isOk = status === 'status 0' && octets === MESSAGE.length;
      const failure = isOk ? undefined : (status ?? `reset ${stream.rstCode}`);
      experience.end(failure, performance.now() - startedAt);
    });
    stream.end(MESSAGE);
  }

  #stream(session: ClientHttp2Session): void {
    const stream = this.#open('Ticks', {});
    let status = '';
    const noteStatus = (headers: http2.IncomingHttpHeaders): void => {
      if (headers['grpc-status'] !== undefined)
        status = `${headers['grpc-status']} ${headers['grpc-message']}`;
    };
    stream.on('error', () => {});
    stream.on('response', noteStatus);
    stream.on('trailers', noteStatus);
    stream.on('data', () => {
      this.#experience.ticks++;
    });
    stream.on('close', () => {
      if (this.#isStopped) return;
      count(this.#experience.streamFailures, status || `reset ${stream.rstCode}`);
      if (!session.closed && !session.destroyed) setTimeout(() => this.#restream(session), 100);
    });
    stream.end(encodeMessage(Buffer.alloc(0)));
  }

  #restream(session: ClientHttp2Session): void {
    if (!this.#isStopped && !session.closed && !session.destroyed) this.#stream(session);
  }
}
