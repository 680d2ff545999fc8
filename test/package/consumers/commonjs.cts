import assert = require('node:assert/strict');
import proxy = require('grpc-frame-proxy');
import accessLog = require('grpc-frame-proxy/access-log');
import admin = require('grpc-frame-proxy/admin');
import health = require('grpc-frame-proxy/health');
import metrics = require('grpc-frame-proxy/metrics');
import routes = require('grpc-frame-proxy/routes');
import tracing = require('grpc-frame-proxy/tracing');

// A CommonJS program of somebody who has installed the package, which is ESM: release:check compiles and runs it.

async function main(): Promise<void> {
  const backend = new proxy.Server();
  proxy.registerStreamHandlers(backend, 'test.Service', {
    Ask: async (stream) => {
      for await (const message of stream) await stream.sendMessage(message);
    },
  });
  const address = await backend.listen('127.0.0.1:0');
  assert('port' in address);
  const conn: proxy.ClientConn = proxy.dial(`http://127.0.0.1:${address.port}`);
  const call = conn.call('/test.Service/Ask');
  await call.send(Buffer.from('hello'));
  call.end();
  const answers: string[] = [];
  for await (const message of call) answers.push(String(message));
  assert.deepEqual(answers, ['hello']);
  await conn.close();
  await backend.close();
  for (const load of [
    accessLog.accessLog,
    admin.adminServer,
    health.healthService,
    metrics.metrics,
    routes.routeDirector,
    tracing.tracing,
  ]) {
    assert.equal(typeof load, 'function');
  }
  process.stdout.write('every entry point can be required\n');
}

void main();
