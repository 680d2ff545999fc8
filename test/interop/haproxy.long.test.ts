import { EventEmitter, once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { Child } from '../support/child.js';
import { portOf, startCommand } from '../support/command.js';
import { type BidiCall, echo, failWith, GrpcBackend } from '../support/grpc-backend.js';
import { collect, GrpcClient } from '../support/grpc-client.js';
import { missing } from '../support/missing.js';

// The command next to HAProxy, which is before it or behind it. Client and backend are grpc-js's.

const MESSAGE_LENGTH = 10_000;
const MESSAGES = 50;
/** More than a frame: HEADERS needs CONTINUATION. */
const LARGE_VALUE = 'x'.repeat(20_000);

const DETAILS = 'nö: 100 %';
const STATUS_DETAILS = Buffer.from([8, 9, 18, 0, 255]);

/** Where HAProxy stands, as the client sees it. */
type Place = 'before' | 'behind';

/** Starts HAProxy before a backend; the socket at which it listens: there is no port for others to take. */
async function haproxy(t: Test, backendPort: number): Promise<string> {
  // A socket's path has room for about a hundred bytes only.
  const directory = await mkdtemp(join(tmpdir(), 'haproxy-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const socket = join(directory, 'listen.sock');
  const configuration = join(directory, 'haproxy.cfg');
  await writeFile(
    configuration,
    `
global
  tune.bufsize 65536
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend calls
  bind unix@${socket} proto h2
  default_backend calls
backend calls
  server backend 127.0.0.1:${backendPort} proto h2
`,
  );
  const watcher = watch(directory);
  t.teardown(() => watcher.close());
  const program = Child.start(t, 'haproxy', '-db', '-f', configuration);
  const ended = program.ended();
  while (!existsSync(socket)) {
    program.demandRunning();
    await Promise.race([once(watcher, 'change'), ended]);
  }
  return `unix:${socket}`;
}

/** Starts the command before a backend; its port. */
async function command(t: Test, transport: string, primary: string): Promise<number> {
  return portOf(startCommand(t, '--listen', '127.0.0.1:0', '--primary', primary, '--transport', transport));
}

/** Answers a message with many, of the length that it asks for. */
function pour(call: BidiCall): void {
  call.on('data', (message: Buffer) => {
    const length = Number(message.toString());
    for (let each = 0; each < MESSAGES; each++) call.write(Buffer.alloc(length, each));
  });
  call.on('end', () => call.end());
}

/** Answers with the number of bytes that came. */
function count(call: BidiCall): void {
  let bytes = 0;
  call.on('data', (message: Buffer) => {
    bytes += message.length;
  });
  call.on('end', () => {
    call.write(Buffer.from(String(bytes)));
    call.end();
  });
}

/** Sends back the request's metadata of that name: in the response's headers and in its trailers. */
function mirror(call: BidiCall): void {
  const headers = new Metadata();
  const trailers = new Metadata();
  for (const name of ['x-text', 'x-bin']) {
    for (const value of call.metadata.get(name)) {
      headers.add(name, value);
      trailers.add(name, value);
    }
  }
  call.sendMetadata(headers);
  call.resume();
  call.on('end', () => call.end(trailers));
}

/** Fails with everything that an error status has, after a message, or without one. */
function fail(afterMessage: boolean) {
  const trailers = new Metadata();
  trailers.set('x-reason', LARGE_VALUE);
  trailers.set('grpc-status-details-bin', STATUS_DETAILS);
  const failure = failWith(status.FAILED_PRECONDITION, DETAILS, trailers);
  return (call: BidiCall): void => {
    if (afterMessage) call.write(Buffer.from('before'));
    failure(call);
  };
}

/** A client and a backend, with HAProxy and the command between them. */
interface Chain {
  readonly client: GrpcClient;
  /** Emits `cancelled` when a call of Hold is. */
  readonly holding: EventEmitter;
}

async function chain(t: Test, transport: string, place: Place): Promise<Chain> {
  const holding = new EventEmitter();
  const backend = await GrpcBackend.start({
    '/test.Peer/Echo': echo,
    '/test.Peer/Pour': pour,
    '/test.Peer/Count': count,
    '/test.Peer/Mirror': mirror,
    '/test.Peer/Fail': fail(false),
    '/test.Peer/FailLate': fail(true),
    '/test.Peer/Hold': (call) => {
      call.on('cancelled', () => holding.emit('cancelled'));
      call.write(Buffer.from('held'));
    },
  });
  t.teardown(() => backend.destroy());
  const target =
    place === 'before'
      ? await haproxy(t, await command(t, transport, `127.0.0.1:${backend.port}`))
      : await command(t, transport, await haproxy(t, backend.port));
  const client = new GrpcClient(target);
  t.teardown(() => client.close());
  return { client, holding };
}

for (const transport of ['http2', 'frames']) {
  for (const place of ['before', 'behind'] as const) {
    t.test(`HAProxy ${place} the command on ${transport}`, { skip: missing('haproxy') }, async (t) => {
      const { client, holding } = await chain(t, transport, place);

      t.test('unary calls', async (t) => {
        const results = await Promise.all(
          Array.from({ length: 50 }, (_, each) => client.call('/test.Peer/Echo', [`message ${each}`])),
        );
        for (const [each, { code, messages }] of results.entries()) {
          t.strictSame([code, messages.map(String)], [status.OK, [`message ${each}`]]);
        }
      });

      t.test('a message of megabytes, and an empty one', async (t) => {
        const large = Buffer.alloc(3 * 1024 * 1024, 'large');
        const { code, messages } = await client.call('/test.Peer/Echo', [large, '']);
        t.equal(code, status.OK);
        t.ok(messages[0]?.equals(large));
        t.strictSame(messages.slice(1), [Buffer.alloc(0)]);
      });

      t.test('a client stream', async (t) => {
        const request = Array.from({ length: MESSAGES }, (_, each) => Buffer.alloc(MESSAGE_LENGTH, each));
        const { code, messages } = await client.call('/test.Peer/Count', request);
        t.strictSame([code, messages.map(String)], [status.OK, [String(MESSAGES * MESSAGE_LENGTH)]]);
      });

      t.test('a server stream', async (t) => {
        const { code, messages } = await client.call('/test.Peer/Pour', [String(MESSAGE_LENGTH)]);
        t.equal(code, status.OK);
        t.equal(messages.length, MESSAGES);
        t.ok(messages.every((message, each) => message.equals(Buffer.alloc(MESSAGE_LENGTH, each))));
      });

      t.test('a bidirectional stream, in which each side waits for the other', async (t) => {
        const call = client.open('/test.Peer/Echo');
        const result = collect(call);
        for (let each = 0; each < MESSAGES; each++) {
          const answer = once(call, 'data');
          call.write(Buffer.from(`ping ${each}`));
          t.strictSame(String((await answer)[0]), `ping ${each}`);
        }
        call.end();
        t.equal((await result).code, status.OK);
      });

      t.test('metadata, text and binary, in headers and trailers', async (t) => {
        const metadata = new Metadata();
        metadata.add('x-text', LARGE_VALUE);
        metadata.add('x-bin', Buffer.from([0, 255, 44]));
        const { code, headers, trailers } = await client.call('/test.Peer/Mirror', [], metadata);
        t.equal(code, status.OK);
        for (const received of [headers, trailers]) {
          t.strictSame(received?.get('x-text'), [LARGE_VALUE]);
          t.strictSame(received?.get('x-bin'), [Buffer.from([0, 255, 44])]);
        }
      });

      for (const [method, sent, when] of [
        ['/test.Peer/Fail', [], 'at once'],
        ['/test.Peer/FailLate', ['before'], 'after a message'],
      ] as const) {
        t.test(`an error status ${when}, with its trailers`, async (t) => {
          const { code, details, messages, trailers } = await client.call(method, ['x']);
          t.strictSame(messages.map(String), sent);
          t.strictSame([code, details], [status.FAILED_PRECONDITION, DETAILS]);
          t.strictSame(trailers.get('x-reason'), [LARGE_VALUE]);
          t.strictSame(trailers.get('grpc-status-details-bin'), [STATUS_DETAILS]);
        });
      }

      t.test('a method that is not there', async (t) => {
        t.equal((await client.call('/test.Peer/Absent', ['x'])).code, status.UNIMPLEMENTED);
      });

      t.test('a cancellation reaches the backend', async (t) => {
        const call = client.open('/test.Peer/Hold');
        const result = collect(call);
        await once(call, 'data');
        const cancelled = once(holding, 'cancelled');
        call.cancel();
        await cancelled;
        t.equal((await result).code, status.CANCELLED);
      });
    });
  }
}
