import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import type { Test } from 'tap';
import {
  Code,
  incomingToOutgoing,
  registerService,
  registerStreamHandlers,
  type ServerStream,
  StatusError,
  type StreamDirector,
  transparentHandler,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { type BidiCall, echo, failWith } from '../support/grpc-backend.js';
import { collect, type GrpcClient } from '../support/grpc-client.js';

// The counterpart of each case of the seed's own test suite, but for its codec's (test/grpc/codec.test.ts) and its
// error propagation's (seed-errors.test.ts).

const SERVICE = 'mwitkow.testproto.TestService';
const DUPLEX = '/grpc_testing.TestService/FullDuplexCall';
const COUNT = 20;
const KITTENS = 'I like kittens.';
const CLIENT_KEY = 'test-client-header';
const HEADER_KEY = 'test-server-header';
const TRAILER_KEY = 'test-server-trailer';
const REJECTING_KEY = 'test-reject-rpc-if-in-context';

function pairs(key: string, value: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set(key, value);
  return metadata;
}

/** Answers when the request has ended. */
function unary(answer: (call: BidiCall, request: Buffer) => void): (call: BidiCall) => void {
  return (call) => {
    const messages: Buffer[] = [];
    call.on('data', (message: Buffer) => messages.push(message));
    call.on('end', () => answer(call, Buffer.concat(messages)));
  };
}

function end(call: BidiCall): void {
  call.end(pairs(TRAILER_KEY, 'I like ending turtles.'));
}

/** The backend of the seed's tests, behind the proxy of the seed's tests. */
async function setUp(world: World): Promise<GrpcClient> {
  const backend = await world.grpcBackend({
    [`/${SERVICE}/PingEmpty`]: unary((call) => {
      if (call.metadata.get(CLIENT_KEY).length === 0) {
        failWith(grpc.status.INVALID_ARGUMENT, 'the custom header is missing')(call);
        return;
      }
      call.write(Buffer.from(KITTENS));
      call.end();
    }),
    [`/${SERVICE}/Ping`]: unary((call, request) => {
      call.sendMetadata(pairs(HEADER_KEY, 'I like turtles.'));
      call.write(request);
      end(call);
    }),
    [`/${SERVICE}/PingError`]: unary(failWith(grpc.status.RESOURCE_EXHAUSTED, 'Userspace error.')),
    [`/${SERVICE}/PingList`]: unary((call, request) => {
      call.sendMetadata(pairs(HEADER_KEY, 'I like turtles.'));
      for (let i = 0; i < COUNT; i++) call.write(Buffer.from(`${request}:${i}`));
      end(call);
    }),
    [`/${SERVICE}/PingStream`]: (call) => {
      let counter = 0;
      call.sendMetadata(pairs(HEADER_KEY, 'I like turtles.'));
      call.on('data', (message: Buffer) => call.write(Buffer.from(`${message}#${counter++}`)));
      call.on('end', () => end(call));
    },
  });
  const conn = world.dial(backend.port);
  const director: StreamDirector = async (ctx, _method, peeker) => {
    const [first] = await peeker.peek();
    if (ctx.metadata.get(REJECTING_KEY) !== undefined) {
      throw new StatusError(Code.PERMISSION_DENIED, 'testing rejection');
    }
    return { primary: { ctx: incomingToOutgoing(ctx), conn, msg: first!.payload } };
  };
  const proxy = await world.serve({ unknownServiceHandler: transparentHandler(director) }, (server) =>
    // As in the seed, one method is registered and the others are unknown to the server.
    registerService(server, director, SERVICE, 'Ping'),
  );
  return world.grpcClient(proxy.port);
}

async function pingEmpty(t: Test, client: GrpcClient): Promise<void> {
  const result = await client.call(`/${SERVICE}/PingEmpty`, [''], pairs(CLIENT_KEY, 'true'));
  t.equal(result.code, grpc.status.OK, result.details);
  t.equal(result.messages.join(), KITTENS);
}

async function pingStream(t: Test, client: GrpcClient): Promise<void> {
  const call = client.open(`/${SERVICE}/PingStream`);
  const result = collect(call);
  const headers = once(call, 'metadata');
  const echoed: string[] = [];
  for (let i = 0; i < COUNT; i++) {
    call.write(Buffer.from(`foo:${i}`));
    const [message] = await once(call, 'data');
    // The headers come before all messages.
    if (i === 0) t.strictSame((await headers)[0].get(HEADER_KEY), ['I like turtles.']);
    echoed.push(String(message));
  }
  t.strictSame(
    echoed,
    Array.from({ length: COUNT }, (_, i) => `foo:${i}#${i}`),
  );
  call.end();
  const { code, trailers } = await result;
  t.equal(code, grpc.status.OK);
  t.strictSame(trailers.getMap(), { [TRAILER_KEY]: 'I like ending turtles.' });
}

behaviour('a unary call carries the client’s metadata', async (t, world) => {
  await pingEmpty(t, await setUp(world));
});

behaviour('unary calls, fifty one by one and fifty at once', async (t, world) => {
  const client = await setUp(world);
  for (let i = 0; i < 50; i++) await pingEmpty(t, client);
  await Promise.all(Array.from({ length: 50 }, () => pingEmpty(t, client)));
});

behaviour('a call carries the server’s headers and trailers', async (t, world) => {
  const client = await setUp(world);
  for (const [method, messages] of [
    ['Ping', ['foo']],
    ['PingList', Array.from({ length: COUNT }, (_, i) => `foo:${i}`)],
  ] as const) {
    const result = await client.call(`/${SERVICE}/${method}`, ['foo']);
    t.equal(result.code, grpc.status.OK);
    t.strictSame(result.messages.map(String), messages);
    t.strictSame(result.headers?.get(HEADER_KEY), ['I like turtles.']);
    t.strictSame(result.trailers.getMap(), { [TRAILER_KEY]: 'I like ending turtles.' });
  }
});

behaviour('an application’s error arrives unchanged', async (t, world) => {
  const client = await setUp(world);
  const result = await client.call(`/${SERVICE}/PingError`, ['foo']);
  t.equal(result.code, grpc.status.RESOURCE_EXHAUSTED);
  t.equal(result.details, 'Userspace error.');
  t.strictSame(result.messages, []);
});

behaviour('a director’s error is the call’s, for unknown and registered methods', async (t, world) => {
  const client = await setUp(world);
  for (const method of ['Ping', 'PingEmpty']) {
    const result = await client.call(`/${SERVICE}/${method}`, ['foo'], pairs(REJECTING_KEY, 'true'));
    t.equal(result.code, grpc.status.PERMISSION_DENIED);
    t.equal(result.details, 'testing rejection');
  }
});

behaviour('full duplex: each message is answered before the next is sent', async (t, world) => {
  await pingStream(t, await setUp(world));
});

behaviour('full duplex, fifty one by one and fifty at once', async (t, world) => {
  const client = await setUp(world);
  for (let i = 0; i < 50; i++) await pingStream(t, client);
  await Promise.all(Array.from({ length: 50 }, () => pingStream(t, client)));
});

behaviour('a registered service: its methods run here, others go to the director', async (t, world) => {
  const called: string[] = [];
  async function handle(stream: ServerStream): Promise<void> {
    for await (const message of stream) called.push(`${stream.method} ${message}`);
    await stream.sendMessage(Buffer.alloc(0));
  }
  const unknownServiceHandler = transparentHandler(() => {
    throw new Error('director was called');
  });
  const proxy = await world.serve({ unknownServiceHandler }, (server) =>
    registerStreamHandlers(server, SERVICE, { Ping: handle, PingEmpty: handle }),
  );
  const client = world.grpcClient(proxy.port);
  for (const [method, message] of [
    ['Ping', 'hello'],
    ['PingEmpty', ''],
  ] as const) {
    const result = await client.call(`/${SERVICE}/${method}`, [message]);
    t.equal(result.code, grpc.status.OK);
    t.strictSame(result.messages, [Buffer.alloc(0)]);
  }
  t.strictSame(called, [`/${SERVICE}/Ping hello`, `/${SERVICE}/PingEmpty `]);

  const result = await client.call(`/${SERVICE}/PingError`, ['']);
  t.equal(result.code, grpc.status.UNKNOWN);
  t.equal(result.details, 'director was called');
});

behaviour('a registered service of the proxy: other methods are unimplemented', async (t, world) => {
  const backend = await world.grpcBackend({ [`/${SERVICE}/Ping`]: echo });
  const conn = world.dial(backend.port);
  const proxy = await world.serve({}, (server) => {
    registerService(server, () => ({ primary: { conn } }), SERVICE, 'Ping');
  });
  const client = world.grpcClient(proxy.port);
  t.equal((await client.call(`/${SERVICE}/Ping`, ['foo'])).messages.join(), 'foo');
  t.equal((await client.call(`/${SERVICE}/PingEmpty`, ['foo'])).code, grpc.status.UNIMPLEMENTED);
});

/** A backend that keeps what it gets and answers `bye`; each call goes to it with the message that the director picks. */
async function duplex(t: Test, world: World, pick: (peeked: Buffer) => Uint8Array | undefined) {
  const received: string[] = [];
  const peeked: string[] = [];
  const backend = await world.grpcBackend({
    [DUPLEX]: (call) => {
      call.on('data', (message: Buffer) => received.push(message.toString()));
      call.on('end', () => {
        call.write(Buffer.from('bye'));
        call.end();
      });
    },
  });
  const conn = world.dial(backend.port);
  const proxy = await world.serve({}, (server) => {
    const director: StreamDirector = async (ctx, _method, peeker) => {
      const [first] = await peeker.peek();
      peeked.push(first!.payload.toString());
      return { primary: { ctx: incomingToOutgoing(ctx), conn, msg: pick(first!.payload) } };
    };
    registerService(server, director, 'grpc_testing.TestService', 'FullDuplexCall');
  });
  const result = await world.grpcClient(proxy.port).call(DUPLEX, ['hi', 'again']);
  t.equal(result.code, grpc.status.OK);
  t.equal(result.messages.join(), 'bye');
  return { peeked, received };
}

behaviour(
  'peeking: the director sees the first message, and the backend gets it all the same',
  async (t, world) => {
    for (const pick of [(peeked: Buffer) => peeked, () => undefined]) {
      const { peeked, received } = await duplex(t, world, pick);
      t.strictSame(peeked, ['hi']);
      t.strictSame(received, ['hi', 'again']);
    }
  },
);

behaviour(
  'injecting: the backend gets the director’s message in the place of the first',
  async (t, world) => {
    for (const replacement of ['replaced', '']) {
      const { peeked, received } = await duplex(t, world, () => Buffer.from(replacement));
      t.strictSame(peeked, ['hi']);
      t.strictSame(received, [replacement, 'again']);
    }
  },
);
