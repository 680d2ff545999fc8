import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import type { BidiCall } from '../support/grpc-backend.js';
import {
  type Answer,
  CONFIG_FIELD,
  PHASE_FIELD,
  type Question,
  REPLICA_FIELD,
  SERVICES,
} from './messages.js';

/**
 * A backend on grpc-js, with TLS on both sides: `node backend-process.js SETTINGS`, with {@link BackendSettings} as JSON.
 * It prints `{"event":"listening"}` when it is ready. On SIGTERM it lets running calls finish, and prints how many it has
 * answered in each phase: `{"event":"served","phases":{"1":17}}`.
 */
export interface BackendSettings {
  readonly number: number;
  /** `HOST:PORT` */
  readonly address: string;
  /** Files in PEM. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

const settings = JSON.parse(process.argv[2]!) as BackendSettings;
const phases: Record<string, number> = {};

function fieldOf(call: BidiCall, name: string): string {
  return String(call.metadata.get(name)[0] ?? '');
}

/** Answers each message with a message. */
function answer(call: BidiCall): void {
  const path = {
    backend: `${settings.number}`,
    name: call.getHost().split(':')[0]!,
    replica: fieldOf(call, REPLICA_FIELD),
    config: fieldOf(call, CONFIG_FIELD),
    attempts: Number(fieldOf(call, 'grpc-previous-rpc-attempts')),
  };
  let asleep = Promise.resolve();
  call.on('data', (message: Buffer) => {
    const { id, sleep = 0 } = JSON.parse(String(message)) as Question;
    if (sleep > 0) asleep = new Promise((resolve) => setTimeout(resolve, sleep));
    asleep = asleep.then(() => {
      call.write(Buffer.from(JSON.stringify({ id, ...path } satisfies Answer)));
    });
  });
  call.on('end', () => {
    void asleep.then(() => {
      if (call.cancelled) return;
      const phase = fieldOf(call, PHASE_FIELD);
      phases[phase] = (phases[phase] ?? 0) + 1;
      call.end();
    });
  });
  call.on('error', () => {});
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const pass = (bytes: Buffer): Buffer => bytes;
const [cert, key, ca] = [settings.cert, settings.key, settings.ca].map((path) => readFileSync(path));
const server = new grpc.Server();
for (const service of Object.values(SERVICES)) {
  for (const method of ['Unary', 'Stream']) {
    server.register(
      `/${service}/${method}`,
      answer as grpc.handleBidiStreamingCall<Buffer, Buffer>,
      pass,
      pass,
      'bidi',
    );
  }
}
const credentials = grpc.ServerCredentials.createSsl(ca!, [{ private_key: key!, cert_chain: cert! }], true);
server.bindAsync(settings.address, credentials, (error) => {
  if (error !== null) throw error;
  print({ event: 'listening' });
});
process.once('SIGTERM', () =>
  server.tryShutdown(() => {
    print({ event: 'served', phases });
    process.exit(0);
  }),
);
// Not to outlive the proof.
process.stdin.resume().on('close', () => process.exit(1));
