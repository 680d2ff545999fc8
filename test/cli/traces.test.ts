import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import t from 'tap';
import { Child } from '../support/child.js';
import { MAIN, portOf } from '../support/command.js';
import { echo, GrpcBackend } from '../support/grpc-backend.js';
import { GrpcClient } from '../support/grpc-client.js';

const METHOD = '/test.Echo/Echo';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

/** What a user registers by `--import`: prints the spans that end. */
const SDK = `
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const exporter = {
  export(spans, done) {
    for (const { name, kind } of spans) process.stdout.write('span ' + kind + ' ' + name + '\\n');
    done({ code: 0 });
  },
  shutdown: async () => {},
};
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
`;

t.test('the command makes spans by the SDK that --import brings, and else leaves traces alone', async (t) => {
  const seen: (string | undefined)[] = [];
  const backend = await GrpcBackend.start({
    [METHOD]: (call) => {
      seen.push(call.metadata.get('traceparent')[0]?.toString());
      echo(call);
    },
  });
  t.teardown(() => backend.destroy());
  const sdk = join(process.cwd(), 'dist/test/cli', `sdk-${process.pid}.mjs`);
  await writeFile(sdk, SDK);
  t.teardown(() => rm(sdk));
  for (const hasSdk of [false, true]) {
    const options = hasSdk ? [`--import=${sdk}`] : [];
    const primary = `127.0.0.1:${backend.port}`;
    const command = Child.node(t, ...options, MAIN, '--listen', '127.0.0.1:0', '--primary', primary);
    const client = new GrpcClient(await portOf(command));
    t.teardown(() => client.close());
    const metadata = new Metadata();
    metadata.set('traceparent', PARENT);
    t.equal((await client.call(METHOD, ['hello'], metadata)).code, 0);
    const parent = seen.pop();
    if (!hasSdk) {
      t.equal(parent, PARENT, 'as it came');
      continue;
    }
    t.match(parent, new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-01$`));
    t.not(parent, PARENT, 'the span of this side is the parent');
    await command.printed(/span 2 test\.Echo\/Echo/);
    await command.printed(/span 1 test\.Echo\/Echo/);
  }
});
