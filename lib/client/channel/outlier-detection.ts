import type { Failure } from '../../call/outcome.js';
import { Code } from '../../grpc/status.js';
import { outsideOfCalls } from '../../port/outside-of-calls.js';
import type { Endpoint, EndpointWatch } from './endpoint.js';

/** So many calls in a row must fail: fewer can be chance (Envoy's `consecutive_5xx`, too, is 5). */
const FAILURES_IN_ROW = 5;

/** "base_ejection_time … defaults to 30s", "max_ejection_time … defaults to 300s" (gRFC A50). */
const EJECTION_MILLISECONDS = 30_000;
const MAX_EJECTION_MILLISECONDS = 300_000;

/** What is known of an address. */
interface Record {
  failuresInRow: number;
  /** Its ejections, less one for each {@link EJECTION_MILLISECONDS} that it was good for since. */
  ejections: number;
  returnedAt: number;
  timer: NodeJS.Timeout | undefined;
}

/** Who is told of what {@link OutlierDetection} does. */
export interface OutlierDetectionOwner {
  /** An address has been left out; {@link onChanged} follows. */
  onEjected(): void;
  /** One has been left out, or is back. */
  onChanged(): void;
}

/**
 * Leaves out, for a while, an address whose calls fail though connections to it can be made: simplified from gRFC A50.
 * At most half of the addresses are left out at a time, and never the last one.
 */
export class OutlierDetection implements EndpointWatch {
  readonly #owner: OutlierDetectionOwner;
  readonly #records = new Map<Endpoint, Record>();
  #ejected = 0;

  constructor(owner: OutlierDetectionOwner) {
    this.#owner = owner;
  }

  /** These are the addresses now. */
  update(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      endpoint.watch = this;
      if (this.#records.has(endpoint)) continue;
      this.#records.set(endpoint, { failuresInRow: 0, ejections: 0, returnedAt: 0, timer: undefined });
    }
    const present = new Set(endpoints);
    for (const endpoint of this.#records.keys()) if (!present.has(endpoint)) this.#forget(endpoint);
    // There may be fewer now of those that are not left out.
    for (const [endpoint, record] of this.#records) {
      if (this.#ejected <= this.#most) return;
      if (endpoint.isEjected) this.#readmit(endpoint, record);
    }
  }

  /** How many may be left out at a time. */
  get #most(): number {
    return Math.floor(this.#records.size / 2);
  }

  /** Leaves nothing behind. */
  stop(): void {
    for (const endpoint of this.#records.keys()) this.#forget(endpoint);
  }

  onCallEnded(endpoint: Endpoint, failure: Failure | undefined): void {
    const record = this.#records.get(endpoint);
    if (record === undefined) return;
    // What clients, limits and deadlines end says nothing of the backend.
    if (failure !== undefined && !failure.reason.startsWith('backend_')) return;
    if (failure?.error.code !== Code.UNAVAILABLE) record.failuresInRow = 0;
    else if (++record.failuresInRow >= FAILURES_IN_ROW && !endpoint.isEjected) this.#eject(endpoint, record);
  }

  #eject(endpoint: Endpoint, record: Record): void {
    if (this.#ejected >= this.#most) return;
    const goodFor = Math.floor((performance.now() - record.returnedAt) / EJECTION_MILLISECONDS);
    record.ejections = Math.max(0, record.ejections - goodFor) + 1;
    endpoint.isEjected = true;
    this.#ejected++;
    const time = Math.min(record.ejections * EJECTION_MILLISECONDS, MAX_EJECTION_MILLISECONDS);
    const onServed = (): void => {
      this.#readmit(endpoint, record);
      this.#owner.onChanged();
    };
    record.timer = outsideOfCalls(() => setTimeout(onServed, time).unref());
    this.#owner.onEjected();
    this.#owner.onChanged();
  }

  #readmit(endpoint: Endpoint, record: Record): void {
    clearTimeout(record.timer);
    if (!endpoint.isEjected) return;
    endpoint.isEjected = false;
    record.returnedAt = performance.now();
    // What ended meanwhile was begun before, or had nowhere else to go.
    record.failuresInRow = 0;
    this.#ejected--;
  }

  #forget(endpoint: Endpoint): void {
    const record = this.#records.get(endpoint)!;
    this.#readmit(endpoint, record);
    this.#records.delete(endpoint);
    endpoint.watch = undefined;
  }
}
