import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GrpcBackend } from '../support/grpc-backend.js';
import { runNode } from './run.js';

/** The one that ends by itself. */
const NAME = 'client-call.js';
const CALLS = '127.0.0.1:50061';

/** `status = SERVING` of a HealthCheckResponse. */
const SERVING = Buffer.from([0x08, 0x01]);

/** An example runs with the package that is installed, as it is but for the port that it calls. */
export async function runExample(project: string): Promise<string> {
  const backend = await GrpcBackend.start({
    '/grpc.health.v1.Health/Check': (call) => {
      call.resume();
      call.on('end', () => {
        call.write(SERVING);
        call.end();
      });
    },
  });
  try {
    const example = readFileSync(fileURLToPath(new URL(`../examples/${NAME}`, import.meta.url)), 'utf8');
    writeFileSync(join(project, NAME), example.replace(CALLS, `127.0.0.1:${backend.port}`));
    const told = await runNode(project, NAME);
    if (told !== 'serving\n') throw new Error(`${NAME} says ${told}`);
  } finally {
    backend.destroy();
  }
  return NAME;
}
