import { setTimeout as sleep } from 'node:timers/promises';
import { encodeMessage } from '../../lib/index.js';
import { requestTo } from '../support/fields.js';
import type { SettingPair } from '../support/frame.js';
import { frame } from '../support/frame.js';
import { fieldBlock } from '../support/hpack.js';
import type { Random } from '../support/random.js';
import { RawConnection } from './lab/raw-connection.js';

/** What an attack is run with. */
export interface AttackContext {
  /** Of the proxy, on the loopback interface. */
  readonly port: number;
  /** Aborts when the attacker should leave. */
  readonly signal: AbortSignal;
  readonly random: Random;
}

/** What an attack has to say when it has left. */
export interface AttackReport {
  /** What it did, for people. */
  readonly did: string;
  /** What the attacker itself has seen go wrong: an honest one that was cut, for example. */
  readonly objections: readonly string[];
}

/** Something that one peer may do, and others may not notice. */
export interface Attack {
  readonly name: string;
  readonly description: string;
  /** The backend that the victim calls; `common` unless said. */
  readonly victimService?: string;
  /** A backend connection is really lost by it, so that the victim may lose one call of a hundred. */
  readonly costsConnection?: boolean;
  /** A backend to which the proxy must not open five connections a second. */
  readonly loopingService?: string;
  /** It shows nothing in a shorter time. */
  readonly minSeconds?: number;
  /** Does its worst until the signal aborts, leaves, and resolves when nothing of it is left. */
  run(context: AttackContext): Promise<AttackReport>;
}

/** Resolves after so long, or when the signal aborts. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Resolves when the signal aborts. */
export function departure(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Does something so often a second until the signal aborts; resolves with how often it did. */
export async function repeat(
  perSecond: number,
  signal: AbortSignal,
  step: () => Promise<void> | void,
): Promise<number> {
  const startedAt = performance.now();
  let count = 0;
  while (!signal.aborted) {
    const due = ((performance.now() - startedAt) / 1000) * perSecond;
    for (; count < due && !signal.aborted; count++) await step();
    await pause(5, signal);
  }
  return count;
}

/**
 * A client that connects anew whenever its connection is ended, as attackers do: what is charged to a connection does
 * not stop it.
 */
export class Attacker {
  connections = 0;
  readonly goAwayCodes = new Map<number, number>();
  /** DATA octets and frames of all its connections that have come. */
  dataBytes = 0;
  #current: RawConnection | undefined;
  readonly #all = new Set<RawConnection>();

  constructor(
    private readonly context: AttackContext,
    private readonly pairs: readonly SettingPair[] = [],
    private readonly onConnection: (connection: RawConnection) => void = () => {},
  ) {}

  /** The connection in use, or a new one. */
  async connection(): Promise<RawConnection> {
    if (this.#current?.isUsable === true) return this.#current;
    await this.#leave(this.#current);
    const connection = await RawConnection.connect(this.context.port, this.context.signal, ...this.pairs);
    this.connections++;
    this.#all.add(connection);
    this.#current = connection;
    this.onConnection(connection);
    return connection;
  }

  /** Cuts all connections. */
  async leave(): Promise<void> {
    await Promise.all([...this.#all].map((connection) => this.#leave(connection)));
  }

  report(did: string, objections: readonly string[] = []): AttackReport {
    const codes = [...this.goAwayCodes].map(([code, count]) => `${count} × GOAWAY ${code}`);
    return { did: [did, `${this.connections} connections`, ...codes].join(', '), objections };
  }

  async #leave(connection: RawConnection | undefined): Promise<void> {
    if (connection === undefined || !this.#all.delete(connection)) return;
    await connection.close();
    const { goAway } = connection;
    if (goAway !== undefined) this.goAwayCodes.set(goAway, (this.goAwayCodes.get(goAway) ?? 0) + 1);
    this.dataBytes += connection.dataBytes;
  }
}

/** HEADERS that are made once for many streams: `flags` of the frame, and the fields after those of a gRPC request. */
export function requestHeaders(path: string, flags: number, ...fields: readonly string[]) {
  const block = fieldBlock([...requestTo(path), ...fields]);
  return (streamId: number): Buffer => frame(1, flags, streamId, block);
}

/** A message of that many octets, its prefix included. */
export function messageOf(octets: number): Buffer {
  return encodeMessage(Buffer.alloc(octets - 5, 'm'));
}
