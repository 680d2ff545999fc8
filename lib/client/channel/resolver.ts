import dns from 'node:dns';
import { MAX_TIMER_MILLISECONDS } from '../../call/deadline.js';
import { outsideOfCalls } from '../../port/outside-of-calls.js';
import type { BackendAddress, BackendName, Target } from '../../port/target.js';

/** A name server that says nothing has this long. */
const TIMEOUT_MILLISECONDS = 5_000;

/** From the end of a resolution that found nothing: calls that wait for it are to fail, not to wait for the next. */
const REST_MILLISECONDS = 100;

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
  /** Whether there is any name. */
  readonly hasNames: boolean;
  /** What each target stood for last. */
  readonly #found: (readonly BackendAddress[])[];
  /** The addresses that the owner was told last, as text. */
  #told = '';
  #isResolving = false;
  #isStopped = false;
  /** When the next resolution may begin, on the clock of `performance.now()`. */
  #notBefore = 0;
  /** What is being asked. */
  readonly #queries = new Set<Query>();
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;

  /** @param minMilliseconds from the beginning of one resolution to that of the next, at least */
  constructor(targets: readonly Target[], minMilliseconds: number, owner: ResolverOwner) {
    this.#targets = targets;
    this.#minMilliseconds = minMilliseconds;
    this.#owner = owner;
    this.#found = targets.map(({ at }) => ('host' in at ? [] : at));
    this.hasNames = targets.some(({ at }) => 'host' in at);
  }

  /** The addresses of targets without a name. */
  get known(): readonly BackendAddress[] {
    return this.#found.flat();
  }

  /** How long {@link resolve} will put it off, in milliseconds. */
  get waitMilliseconds(): number {
    return Math.max(0, this.#notBefore - performance.now());
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
    for (const query of this.#queries) query.end();
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
    const wait = Math.min(Math.ceil(milliseconds), MAX_TIMER_MILLISECONDS);
    this.#timer = outsideOfCalls(() => setTimeout(onDue, wait).unref());
  }

  async #resolve(): Promise<void> {
    this.#unschedule();
    this.#isResolving = true;
    this.#notBefore = performance.now() + this.#minMilliseconds;
    let next = REFRESH_MILLISECONDS;
    let failed: { text: string; error: Error } | undefined;
    await Promise.all(
      this.#targets.map(async (target, index) => {
        const { at } = target;
        if (!('host' in at)) return;
        try {
          const { hosts, milliseconds } = await this.#ask(at);
          next = Math.min(next, milliseconds);
          this.#found[index] = this.#someOf(hosts, index).map((host) => addressOf(host, at, target));
        } catch (error) {
          failed ??= { text: explain(at, error as NodeJS.ErrnoException), error: error as Error };
        }
      }),
    );
    if (this.#isStopped) return;
    this.#tell(failed);
    // Not before: what the owner does with the addresses asks for no others.
    this.#isResolving = false;
    if (this.#owner.needsAddresses) this.#resolveIn(Math.max(next, this.waitMilliseconds));
  }

  /** @throws Error if the name stands for nothing, or nobody says for what in time */
  async #ask({ host, server }: BackendName): Promise<Answer> {
    const query = server === undefined ? new SystemQuery(host) : new ServerQuery(host, server);
    this.#queries.add(query);
    const timer = setTimeout(() => query.end(), TIMEOUT_MILLISECONDS);
    try {
      await query.ended;
    } finally {
      clearTimeout(timer);
      this.#queries.delete(query);
    }
    if (query.hosts.length > 0) return query;
    throw query.error ?? Object.assign(new Error('the name server is silent'), { code: dns.TIMEOUT });
  }

  /** As many as may be, those first that are used already: name servers give them in another order each time. */
  #someOf(hosts: readonly string[], index: number): string[] {
    const used = new Set<string>();
    for (const { address } of this.#found[index]!) if ('host' in address) used.add(address.host);
    const [known, others]: [string[], string[]] = [[], []];
    for (const host of new Set(hosts)) (used.has(host) ? known : others).push(host);
    return [...known, ...others].slice(0, MAX_ADDRESSES);
  }

  #tell(failed: { text: string; error: Error } | undefined): void {
    const addresses = this.known;
    if (addresses.length === 0) {
      if (failed === undefined) return;
      this.#notBefore = Math.max(this.#notBefore, performance.now() + REST_MILLISECONDS);
      this.#owner.onResolutionFailed(failed.text, failed.error);
      return;
    }
    const told = JSON.stringify(addresses.map((each) => JSON.stringify(each)).sort());
    if (told === this.#told) return;
    this.#told = told;
    this.#owner.onAddresses(addresses);
  }
}

/** What is asked for the addresses of a name. */
interface Query extends Answer {
  /** Resolves when nothing more will be found. */
  readonly ended: Promise<void>;
  readonly error: Error | undefined;
  /** Asks no longer. */
  end(): void;
}

/**
 * The questions to the system that run, by their names. It may take far longer to give up than this does, and has four
 * threads by default, which files are read by, too: no name has more than one of them.
 */
const lookups = new Map<string, Promise<dns.LookupAddress[]>>();

/** As all programs of the system do it: `/etc/hosts` and the like included. */
class SystemQuery implements Query {
  hosts: readonly string[] = [];
  error: Error | undefined;
  readonly milliseconds = REFRESH_MILLISECONDS;
  readonly ended: Promise<void>;
  #end!: () => void;

  constructor(host: string) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    void this.#take(lookup(host));
  }

  end(): void {
    this.#end();
  }

  async #take(answer: Promise<dns.LookupAddress[]>): Promise<void> {
    try {
      this.hosts = (await answer).map(({ address }) => address);
    } catch (error) {
      this.error = error as Error;
    }
    this.#end();
  }
}

function lookup(host: string): Promise<dns.LookupAddress[]> {
  let running = lookups.get(host);
  if (running === undefined) {
    running = dns.promises.lookup(host, { all: true }).finally(() => lookups.delete(host));
    lookups.set(host, running);
  }
  return running;
}

/** Of one name server, for both families; where it answers for one alone, that is used. */
class ServerQuery implements Query {
  readonly hosts: string[] = [];
  error: Error | undefined;
  milliseconds = REFRESH_MILLISECONDS;
  readonly ended: Promise<void>;
  readonly #resolver = new dns.promises.Resolver();

  constructor(host: string, server: string) {
    this.#resolver.setServers([server]);
    this.ended = this.#askBoth(host);
  }

  end(): void {
    this.#resolver.cancel();
  }

  async #askBoth(host: string): Promise<void> {
    await Promise.all([
      this.#take(this.#resolver.resolve6(host, { ttl: true })),
      this.#take(this.#resolver.resolve4(host, { ttl: true })),
    ]);
  }

  async #take(answer: Promise<readonly dns.RecordWithTtl[]>): Promise<void> {
    try {
      for (const { address, ttl } of await answer) {
        this.hosts.push(address);
        this.milliseconds = Math.min(this.milliseconds, 1000 * ttl);
      }
    } catch (error) {
      // That there are none of one family says less than anything else.
      if (this.error === undefined || isUnknown(this.error)) this.error = error as Error;
    }
  }
}

function addressOf(host: string, { host: name, port }: BackendName, { authority }: Target): BackendAddress {
  return { address: { host, port }, authority, serverName: name };
}

function isUnknown({ code }: NodeJS.ErrnoException): boolean {
  return code === dns.NOTFOUND || code === dns.NODATA;
}

function explain({ host, server }: BackendName, error: NodeJS.ErrnoException): string {
  if (isUnknown(error)) return `the name ${JSON.stringify(host)} is not known`;
  const { code } = error;
  const by = server === undefined ? 'the name server' : `the name server ${server}`;
  switch (code) {
    case dns.TIMEOUT:
    case dns.CANCELLED:
    case dns.CONNREFUSED:
    case 'EAI_AGAIN':
      return `${by} does not answer for ${JSON.stringify(host)}`;
    default:
      return `${by} does not resolve ${JSON.stringify(host)} (${code})`;
  }
}
