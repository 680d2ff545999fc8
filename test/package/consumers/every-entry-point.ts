import assert from 'node:assert/strict';
import { get } from 'node:http';
import * as grpc from '@grpc/grpc-js';
import {
  type CallOutcome,
  Code,
  dial,
  registerStreamHandlers,
  Server,
  type ServerStream,
  StatusError,
  type StreamDirector,
  transparentHandler,
} from 'grpc-frame-proxy';
import { accessLog } from 'grpc-frame-proxy/access-log';
import { adminServer, processSource } from 'grpc-frame-proxy/admin';
import { healthService } from 'grpc-frame-proxy/health';
import { metrics } from 'grpc-frame-proxy/metrics';
import { type ConfigInput, configJsonSchema, parseConfig, routeDirector } from 'grpc-frame-proxy/routes';
import { tracing } from 'grpc-frame-proxy/tracing';

// A program of somebody who has installed the package, and uses all of it: release:check compiles and runs it.

async function* answer(stream: ServerStream): AsyncGenerator<Buffer> {
  for await (const message of stream) {
    if (String(message) === 'fail') throw new StatusError(Code.NOT_FOUND, 'no such message');
    yield Buffer.from(`answer to ${message}`);
  }
}

function call(port: number, message: string): Promise<string> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const bytes = (value: Buffer): Buffer => value;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      '/test.Service/Ask',
      bytes,
      bytes,
      Buffer.from(message),
      (error: grpc.ServiceError | null, response?: Buffer) => {
        client.close();
        resolve(error === null ? String(response) : `${error.code}: ${error.details}`);
      },
    );
  });
}

function page(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      resolve(text);
    }).on('error', reject);
  });
}

async function listen(server: Server): Promise<number> {
  const address = await server.listen('127.0.0.1:0');
  assert('port' in address);
  return address.port;
}

const outcomes: CallOutcome[] = [];
const backend = new Server({ transport: 'frames' });
registerStreamHandlers(backend, 'test.Service', {
  Ask: async (stream) => {
    for await (const message of answer(stream)) await stream.sendMessage(message);
  },
});
const backendPort = await listen(backend);
const conn = dial(`http://127.0.0.1:${backendPort}`);

const config: ConfigInput = {
  backends: { asked: { target: `http://127.0.0.1:${backendPort}` } },
  routes: [{ match: {}, primary: 'asked' }],
};
assert(parseConfig(JSON.stringify(config), { file: 'proxy.json' }).config !== undefined);
assert.equal(typeof configJsonSchema(), 'object');
const routes = routeDirector(config);

const director: StreamDirector = async (ctx, fullMethodName, peeker) => {
  const [first] = await peeker.peek();
  return first?.payload.toString() === 'by routes'
    ? routes.director(ctx, fullMethodName, peeker)
    : { primary: { conn } };
};
const server = new Server({
  unknownServiceHandler: transparentHandler(director),
  observer: { onCall: (outcome) => outcomes.push(outcome) },
});
const measured = metrics(server);
const log = accessLog(server, { file: '-' });
const health = healthService(server);
tracing(server);
const admin = adminServer(
  processSource({ server, backends: { asked: conn }, metrics: (accept) => measured.text(accept) }),
);

const port = await listen(server);
const url = await admin.start();
assert.equal(await call(port, 'hello'), 'answer to hello');
assert.equal(await call(port, 'by routes'), 'answer to by routes');
assert.equal(await call(port, 'fail'), '5: no such message');
assert((await page(`${url}metrics`)).includes('grpc_server_call_started_total'), 'no metrics');
assert((await page(url)).includes('</html>'), 'no live page');
const failures = outcomes.map(({ failure }) => failure?.reason);
assert.deepEqual(failures, [undefined, undefined, 'backend_status']);

health.stopServing();
await admin.close();
await server.close();
await log.close();
await routes.close();
await conn.close();
await backend.close();
process.stdout.write('every entry point works\n');
