import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { Random } from '../support/random.js';
import type { Account, ClientSettings, Command, LoadSettings } from './load.js';
import { type Answer, type AnswerPath, PHASE_FIELD, type Question, SERVICES } from './messages.js';

/** Clients on grpc-js: `node grpc-js-clients.js SETTINGS`, with {@link LoadSettings} as JSON; see {@link Command}. */

const DEADLINE_MILLISECONDS = 40_000;
/** How often the application calls again, where it may. */
const MAX_REPEATS = 5;
const REPEAT_MILLISECONDS = 100;

const pass = (bytes: Buffer): Buffer => bytes;

type OpenAccount = { -readonly [Key in keyof Account]: Account[Key] } & {
  readonly losses: Record<string, number>;
  readonly failures: Record<string, number>;
};

/** How a call, or an attempt of the application's, has ended. */
interface End {
  readonly code: grpc.status;
  readonly details: string;
  readonly answers: readonly Answer[];
}

interface Phase {
  readonly name: string;
  readonly repeats: boolean;
  readonly startedAt: number;
}

/** Waits for answers that come some way. */
interface Meeting {
  readonly id: number;
  readonly path: Partial<AnswerPath>;
  /** Of the first call that counts. */
  readonly firstCall: number;
  readonly missing: Set<Caller>;
}

const settings = JSON.parse(process.argv[2]!) as LoadSettings;
let phase: Phase = { name: '', repeats: false, startedAt: 0 };
let isStopped = false;
let calls = 0;
/** The calls that run, by the name of their phase. */
const running = new Map<string, number>();
let onCallEnd: () => void = () => {};
let meetings: readonly Meeting[] = [];

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

class Caller {
  readonly accounts = new Map<string, OpenAccount>();
  readonly #settings: ClientSettings;
  readonly #client: grpc.Client;
  readonly #random: Random;
  readonly #loss: RegExp;

  constructor(client: ClientSettings, random: Random) {
    const { target, tls } = client;
    this.#settings = client;
    this.#random = random;
    this.#loss = new RegExp(client.loss);
    const credentials =
      tls === undefined
        ? grpc.credentials.createInsecure()
        : grpc.credentials.createSsl(readFileSync(tls.ca));
    this.#client = new grpc.Client(target, credentials, {
      'grpc.service_config': JSON.stringify(settings.serviceConfig),
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 1000,
      ...(tls && { 'grpc.ssl_target_name_override': tls.serverName }),
    });
  }

  /** Calls until it is told to stop. */
  async run(): Promise<void> {
    const interval = 1000 / settings.callsPerSecond;
    while (!isStopped) {
      void this.#call();
      await sleep(this.#random.int(interval / 2, (3 * interval) / 2));
    }
  }

  async #call(): Promise<void> {
    const id = ++calls;
    const own = phase;
    const account = this.#accountOf(own);
    account.calls++;
    running.set(own.name, (running.get(own.name) ?? 0) + 1);
    const questions = this.#questions(id);
    let end = await this.#attempt(own, questions);
    let repeats = 0;
    while (own.repeats && this.#loss.test(textOf(end)) && repeats < MAX_REPEATS) {
      addTo(account.losses, textOf(end));
      await sleep(REPEAT_MILLISECONDS * 2 ** repeats++);
      end = await this.#attempt(own, questions);
    }
    const what = failureOf(end, questions);
    if (what === undefined) {
      account.ok++;
      if (repeats > 0) account.repeated++;
      else if (end.answers.some(({ attempts }) => attempts > 0)) account.retried++;
      this.#attend(id, end.answers[0]!);
    } else {
      addTo(account.failures, what);
      const at = ((performance.now() - own.startedAt) / 1000).toFixed(2);
      print({
        event: 'failed',
        client: this.#settings.name,
        phase: own.name,
        at,
        method: methodOf(questions),
        what,
      });
    }
    running.set(own.name, running.get(own.name)! - 1);
    onCallEnd();
  }

  /** Mostly a unary call, else a stream of so many messages; now and then one that lasts for seconds. */
  #questions(id: number): readonly Question[] {
    const random = this.#random;
    if (random.chance(0.7)) return [{ id, sleep: random.int(0, 200) }];
    if (random.chance(0.9)) return Array.from({ length: random.int(2, 8) }, () => ({ id }));
    return Array.from({ length: random.int(8, settings.longestStream) }, () => ({ id }));
  }

  /** Never rejects. */
  async #attempt({ name, repeats }: Phase, questions: readonly Question[]): Promise<End> {
    const service = repeats ? SERVICES.repeated : SERVICES.once;
    const metadata = new grpc.Metadata();
    metadata.set(PHASE_FIELD, name);
    const call = this.#client.makeBidiStreamRequest(
      `/${service}/${methodOf(questions)}`,
      pass,
      pass,
      metadata,
      { deadline: Date.now() + DEADLINE_MILLISECONDS },
    );
    const answers: Answer[] = [];
    let hasEnded = false;
    call.on('data', (message: Buffer) => answers.push(JSON.parse(String(message)) as Answer));
    // The status tells the same.
    call.on('error', () => {});
    const ended = new Promise<End>((resolve) => {
      call.on('status', ({ code, details }: grpc.StatusObject) => {
        hasEnded = true;
        resolve({ code, details, answers });
      });
    });
    for (const [index, question] of questions.entries()) {
      if (index > 0) await sleep(this.#random.int(20, 150));
      if (hasEnded) break;
      call.write(Buffer.from(JSON.stringify(question)));
    }
    call.end();
    return ended;
  }

  #attend(id: number, path: AnswerPath): void {
    for (const { id: meet, firstCall, path: wanted, missing } of meetings) {
      const fits = Object.entries(wanted).every(([name, value]) => path[name as keyof AnswerPath] === value);
      if (!fits || id < firstCall || !missing.delete(this)) continue;
      print({ event: 'met', meet, client: this.#settings.name });
    }
    meetings = meetings.filter(({ missing }) => missing.size > 0);
  }

  #accountOf({ name }: Phase): OpenAccount {
    let account = this.accounts.get(name);
    if (account === undefined) {
      const { name: client } = this.#settings;
      account = { client, phase: name, calls: 0, ok: 0, retried: 0, repeated: 0, losses: {}, failures: {} };
      this.accounts.set(name, account);
    }
    return account;
  }
}

function methodOf({ length }: readonly Question[]): string {
  return length === 1 ? 'Unary' : 'Stream';
}

/** How a call has failed; undefined if it has not. */
function failureOf({ code, details, answers }: End, questions: readonly Question[]): string | undefined {
  if (code !== grpc.status.OK) return textOf({ code, details });
  const { id } = questions[0]!;
  if (answers.length !== questions.length) return `${answers.length} answers to ${questions.length} messages`;
  return answers.every((answer) => answer.id === id) ? undefined : 'the answer to another call';
}

function textOf({ code, details }: Pick<End, 'code' | 'details'>): string {
  return `${grpc.status[code]}: ${details}`;
}

function addTo(counts: Record<string, number>, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

async function untilEnded(isMeant: (phase: string) => boolean): Promise<void> {
  while ([...running].some(([name, count]) => count > 0 && isMeant(name))) {
    await new Promise<void>((resolve) => {
      const before = onCallEnd;
      onCallEnd = () => {
        before();
        resolve();
      };
    });
  }
}

async function obey(command: Command): Promise<void> {
  if ('phase' in command) {
    const name = command.phase;
    phase = { name, repeats: command.repeats, startedAt: performance.now() };
    await untilEnded((other) => other !== name);
    print({ event: 'phase', phase: name });
  } else if ('meet' in command) {
    meetings = [
      ...meetings,
      { id: command.meet, path: command.path, firstCall: calls + 1, missing: new Set(callers) },
    ];
  } else {
    isStopped = true;
    await untilEnded(() => true);
    print({ event: 'accounts', accounts: callers.flatMap(({ accounts }) => [...accounts.values()]) });
    process.exit(0);
  }
}

const random = new Random(settings.seed);
const callers = settings.clients.map((client) => new Caller(client, random.fork()));
let isRunning = false;
createInterface({ input: process.stdin })
  .on('line', (line) => {
    void obey(JSON.parse(line) as Command);
    if (isRunning) return;
    isRunning = true;
    for (const caller of callers) void caller.run();
  })
  // Not to outlive the proof.
  .on('close', () => process.exit(1));
