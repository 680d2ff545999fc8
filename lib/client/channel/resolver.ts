import dns from 'node:dns';
import type { BackendAddress, BackendName, Target } from '../../port/target.js';
import { outsideOfCalls } from './outside-of-calls.js';

/** A name server that says nothing has this long. */
const TIMEOUT_MILLISECONDS = 5_000;

/** How long addresses are good for where nothing says so: there may be others by then. */
const REFRESH_MILLISECONDS = 30_000;

/** A name that stands for more is used in part: each of its addresses may cost a connection. */
const MAX_ADDRESSES = 256;

/** Who is told what names stand for; never from inside a method of the {@link Resolver}. */
export interface ResolverOwner {
  /** The addresses, at least one; told only where they have changed. */
  onAddresses(addresses: readonly BackendAddress[]): void;
  /** They are not known: in plain words, with the name. */
  onResolutionFailed(text: string, error: Error): void;
  /** Whether the names are to be resolved again by and by. */
  readonly needsAddresses: boolean;
}

interface Answer {
  readonly hosts: readonly string[];
  readonly milliseconds: number;
}

/**
 * Finds out, again and again, what addresses a backend has: those that its targets say, and those that the names among
 * them stand for. What was found goes on to count where a name cannot be resolved any more.
 */
export class Resolver {
  readonly #targets: readonly Target[];
  readonly #minMilliseconds: number;
  readonly #owner: ResolverOwner;
  /** What each target stood for last. */
  readonly #found: (readonly BackendAddress[])[];
  /** The addresses that the owner was told last, as text. */
  #told = '';
  #isResolving = false;
  #isStopped = false;
  #startedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;

  /** @param minMilliseconds from the beginning of one resolution to that of the next, at least */
  constructor(targets: readonly Target[], minMilliseconds: number, owner: ResolverOwner) {
    this.#targets = targets;
    this.#minMilliseconds = minMilliseconds;
    this.#owner = owner;
    this.#found = targets.map(({ at }) => ('host' in at ? [] : at));
  }

  /** The addresses of targets without a name. */
  get known(): readonly BackendAddress[] {
    return this.#found.flat();
  }

  /** Whether there is any name. */
  get hasNames(): boolean {
    return this.#targets.some(({ at }) => 'host' in at);
  }

  /** How long {@link resolve} will put it off, in milliseconds. */
  get waitMilliseconds(): number {
    return Math.max(0, this.#startedAt + this.#minMilliseconds - performance.now());
  }

  /** Resolves the names, now or as soon as that may be, unless that is under way. */
  resolve(): void {
    if (this.#isResolving || this.#isStopped || !this.hasNames) return;
    const wait = this.waitMilliseconds;
    if (wait === 0) void outsideOfCalls(() => this.#resolve());
    else this.#resolveIn(wait);
  }

  /** Resolves them if nothing else would. */
  wake(): void {
    if (this.#dueAt === Number.POSITIVE_INFINITY) this.resolve();
  }

  stop(): void {
    this.#isStopped = true;
    this.#unschedule();
  }

  #unschedule(): void {
    clearTimeout(this.#timer);
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  #resolveIn(milliseconds: number): void {
    const dueAt = performance.now() + milliseconds;
    if (this.#dueAt <= dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    const onDue = (): void => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.resolve();
    };
    this.#timer = outsideOfCalls(() => setTimeout(onDue, Math.ceil(milliseconds)).unref());
  }

  async #resolve(): Promise<void> {
    this.#unschedule();
    this.#isResolving = true;
    this.#startedAt = performance.now();
    let next = REFRESH_MILLISECONDS;
    let failed: { text: string; error: Error } | undefined;
    await Promise.all(
      this.#targets.map(async ({ at, authority }, index) => {
        if (!('host' in at)) return;
        try {
          const { hosts, milliseconds } = await resolveName(at);
          next = Math.min(next, milliseconds);
          this.#found[index] = hosts.slice(0, MAX_ADDRESSES).map((host) => ({
            address: { host, port: at.port },
            authority,
            serverName: at.host,
          }));
        } catch (error) {
          failed ??= { text: explain(at, error as NodeJS.ErrnoException), error: error as Error };
        }
      }),
    );
    this.#isResolving = false;
    if (this.#isStopped) return;
    this.#tell(failed);
    if (this.#owner.needsAddresses) this.#resolveIn(Math.max(next, this.waitMilliseconds));
  }

  #tell(failed: { text: string; error: Error } | undefined): void {
    const addresses = this.known;
    if (addresses.length === 0) {
      if (failed !== undefined) this.#owner.onResolutionFailed(failed.text, failed.error);
      return;
    }
    const told = JSON.stringify(addresses.map((each) => JSON.stringify(each)).sort());
    if (told === this.#told) return;
    this.#told = told;
    this.#owner.onAddresses(addresses);
  }
}

/** @throws Error if the name stands for nothing, or nobody says for what in time */
async function resolveName(name: BackendName): Promise<Answer> {
  const query =
    name.server === undefined ? new SystemQuery(name.host) : new ServerQuery(name.host, name.server);
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, TIMEOUT_MILLISECONDS);
  });
  await Promise.race([query.answered, silence]);
  clearTimeout(timer);
  query.end();
  if (query.hosts.length > 0) return query;
  throw query.error ?? Object.assign(new Error('the name server is silent'), { code: dns.TIMEOUT });
}

/** What is asked for the addresses of a name. */
interface Query extends Answer {
  /** Resolves when nothing more will be found. */
  readonly answered: Promise<unknown>;
  readonly error: Error | undefined;
  end(): void;
}

/** As all programs of the system do it: `/etc/hosts` and the like included. */
class SystemQuery implements Query {
  hosts: readonly string[] = [];
  error: Error | undefined;
  readonly milliseconds = REFRESH_MILLISECONDS;
  readonly answered: Promise<void>;

  constructor(host: string) {
    this.answered = dns.promises.lookup(host, { all: true }).then(
      (found) => {
        this.hosts = found.map(({ address }) => address);
      },
      (error: Error) => {
        this.error = error;
      },
    );
  }

  end(): void {}
}

/** Of one name server, for both families; where it answers for one alone, that is used. */
class ServerQuery implements Query {
  readonly hosts: string[] = [];
  error: Error | undefined;
  milliseconds = REFRESH_MILLISECONDS;
  readonly answered: Promise<unknown>;
  readonly #resolver = new dns.promises.Resolver();

  constructor(host: string, server: string) {
    this.#resolver.setServers([server]);
    this.answered = Promise.all([
      this.#take(this.#resolver.resolve6(host, { ttl: true })),
      this.#take(this.#resolver.resolve4(host, { ttl: true })),
    ]);
  }

  end(): void {
    this.#resolver.cancel();
  }

  async #take(answer: Promise<readonly dns.RecordWithTtl[]>): Promise<void> {
    try {
      for (const { address, ttl } of await answer) {
        this.hosts.push(address);
        this.milliseconds = Math.min(this.milliseconds, 1000 * ttl);
      }
    } catch (error) {
      this.error ??= error as Error;
    }
  }
}

function explain({ host, server }: BackendName, { code }: NodeJS.ErrnoException): string {
  const by = server === undefined ? 'the name server' : `the name server ${server}`;
  switch (code) {
    case dns.NOTFOUND:
    case dns.NODATA:
      return `the name ${JSON.stringify(host)} is not known`;
    case dns.TIMEOUT:
    case dns.CONNREFUSED:
    case 'EAI_AGAIN':
      return `${by} does not answer for ${JSON.stringify(host)}`;
    default:
      return `${by} does not resolve ${JSON.stringify(host)} (${code})`;
  }
}
