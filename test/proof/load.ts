import { fileURLToPath } from 'node:url';
import { Child, type Parent } from '../support/child.js';
import type { AnswerPath } from './messages.js';

const GRPC_JS = fileURLToPath(new URL('./grpc-js-clients.js', import.meta.url));
const C_CORE = fileURLToPath(new URL('../../../test/proof/ccore_clients.py', import.meta.url));
/** How long what is waited for may take. */
const PATIENCE_SECONDS = 60;

/** One client: a channel to one target. */
export interface ClientSettings {
  readonly name: string;
  readonly target: string;
  /** With TLS: who is trusted, a file in PEM, and whom the certificate must be for. */
  readonly tls?: { readonly ca: string; readonly serverName: string };
  /** Matches how calls end whose server is lost: what begins with UNAVAILABLE, and what else a balancer makes of it. */
  readonly loss: string;
}

/** What a process of clients is started with. */
export interface LoadSettings {
  readonly clients: readonly ClientSettings[];
  /** Of each client. */
  readonly callsPerSecond: number;
  readonly seed: number;
  /** The number of messages of the longest streams, which have up to 0.15 s between two of them. */
  readonly longestStream: number;
  /** gRPC's, as JSON. */
  readonly serviceConfig: object;
}

/** What a client has to say of its calls of a phase. */
export interface Account {
  readonly client: string;
  readonly phase: string;
  readonly calls: number;
  readonly ok: number;
  /** Those that are OK after gRPC's retry policy had tried them again. */
  readonly retried: number;
  /** Those that are OK after the application had called again. */
  readonly repeated: number;
  /** What it called again for, and how often. */
  readonly losses: Readonly<Record<string, number>>;
  /** How many failed, by how. */
  readonly failures: Readonly<Record<string, number>>;
}

/** A call that has failed. */
export interface Failure {
  readonly client: string;
  readonly phase: string;
  /** When, in seconds after the phase began. */
  readonly at: string;
  readonly method: string;
  readonly what: string;
}

/** What clients are told, as lines of JSON on standard input. */
export type Command =
  /** Calls from now on are of this phase. `{"event":"phase","phase":…}` answers when those of others have ended. */
  | { readonly phase: string; readonly repeats: boolean }
  /** `{"event":"met","meet":…,"client":…}` answers for each client when it has had an answer that came this way, to a call from now on. */
  | { readonly meet: number; readonly path: Partial<AnswerPath> }
  /** No more calls; `{"event":"accounts","accounts":…}` answers when all have ended. */
  | { readonly stop: true };

/** A process of clients that call and call. */
export class Load {
  readonly #child: Child;
  readonly #clients: readonly string[];
  #meets = 0;

  private constructor(child: Child, { clients }: LoadSettings) {
    this.#child = child;
    this.#clients = clients.map(({ name }) => name);
  }

  static grpcJs(parent: Parent, settings: LoadSettings): Load {
    return new Load(Child.node(parent, GRPC_JS, JSON.stringify(settings)), settings);
  }

  static cCore(parent: Parent, python: string, settings: LoadSettings): Load {
    return new Load(Child.start(parent, python, C_CORE, JSON.stringify(settings)), settings);
  }

  async begin(phase: string, repeats: boolean): Promise<void> {
    this.#tell({ phase, repeats });
    await this.#child.line({ event: 'phase', phase }, PATIENCE_SECONDS);
  }

  /** Resolves when each client has had an answer that came this way. */
  async meet(path: Partial<AnswerPath>): Promise<void> {
    const meet = ++this.#meets;
    this.#tell({ meet, path });
    for (const client of this.#clients) {
      try {
        await this.#child.line({ event: 'met', meet, client }, PATIENCE_SECONDS);
      } catch (error) {
        const way = JSON.stringify(path);
        throw new Error(`${client} has no answer by way of ${way}: ${(error as Error).message}`);
      }
    }
  }

  /** Which calls have failed so far. */
  get failures(): readonly Failure[] {
    return this.#child.lines.filter(({ event }) => event === 'failed') as unknown as readonly Failure[];
  }

  async stop(): Promise<readonly Account[]> {
    this.#tell({ stop: true });
    const { accounts } = await this.#child.line({ event: 'accounts' }, PATIENCE_SECONDS);
    return accounts as readonly Account[];
  }

  #tell(command: Command): void {
    this.#child.tell(JSON.stringify(command));
  }
}
