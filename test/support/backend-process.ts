import { echo, GrpcBackend } from './grpc-backend.js';

/**
 * A grpc-js server in a process of its own, which can be stopped and killed: `node backend-process.js SETTINGS`, with
 * {@link BackendSettings} as JSON. It echoes all messages of `/test.Service/Method`, and prints
 * `{"event":"listening","port":…}` when it is ready. On SIGTERM it lets running calls finish.
 */
export interface BackendSettings {
  readonly port?: number;
  /** Of grpc-js: `grpc.max_concurrent_streams`, say. */
  readonly options?: Readonly<Record<string, number>>;
}

const { port, options } = JSON.parse(process.argv[2]!) as BackendSettings;
const backend = await GrpcBackend.start({ '/test.Service/Method': echo }, options, port);
process.stdout.write(`${JSON.stringify({ event: 'listening', port: backend.port })}\n`);
process.once('SIGTERM', () => void backend.close().then(() => process.exit(0)));
