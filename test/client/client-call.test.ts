import t from 'tap';
import type { Failure } from '../../lib/call/outcome.js';
import type { CallReceiver } from '../../lib/client/call-receiver.js';
import type { CallChannel } from '../../lib/client/call-route.js';
import { ClientShare } from '../../lib/client/channel/lanes.js';
import type { PickedConnection } from '../../lib/client/channel/picker.js';
import type { WaitingCall } from '../../lib/client/channel/waiting-calls.js';
import { ClientCall } from '../../lib/client/client-call.js';
import type { OutgoingRequest } from '../../lib/client/outgoing-request.js';
import { Retries } from '../../lib/client/retries.js';
import { RetryThrottle } from '../../lib/client/retry-throttle.js';
import { Code, Metadata, StatusError } from '../../lib/index.js';
import { heldBytes, NO_HOLDER } from '../../lib/port/account.js';
import type { ClientConnection } from '../../lib/port/connection.js';
import type { ConnectionEnd } from '../../lib/port/connection-end.js';
import { ErrorCode } from '../../lib/port/error-code.js';
import type { StreamReset } from '../../lib/port/stream.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { fieldValue } from '../support/http2-client.js';
import { MemoryStream } from '../support/memory-conn.js';

// A call against a channel and streams whose every event the test decides.

const GONE: ConnectionEnd = { cause: 'reset', code: 0, text: 'it was reset by the peer', error: undefined };
const UNSENT: StreamReset = { code: 8, by: 'peer', text: undefined, lost: GONE, isUnsent: true };
const LOST: StreamReset = { code: 8, by: 'peer', text: undefined, lost: GONE };
const REFUSED: StreamReset = {
  code: ErrorCode.REFUSED_STREAM,
  by: 'peer',
  text: undefined,
  lost: undefined,
};
const OK = ['grpc-status', '0'];
const UNAVAILABLE = [':status', '200', 'content-type', 'application/grpc', 'grpc-status', '14'];

class FakeStream extends MemoryStream {
  headers: string[] = [];
  ended = false;
  resetCode: number | undefined;

  override sendHeaders(headers?: string[]): void {
    this.headers = headers!;
  }

  override sendData(chunk: Buffer, endStream = false): boolean {
    this.ended = endStream;
    return chunk.length === 0 || super.sendData(chunk);
  }

  override reset(code?: number): void {
    this.resetCode = code;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.sent);
  }
}

/** Gives each call a stream at once while `isOpen`, and keeps it waiting else. */
class FakeChannel implements CallChannel {
  state: CallChannel['state'] = { name: 'READY' };
  isOpen = true;
  hasRoom = true;
  readonly streams: FakeStream[] = [];
  readonly ends: (Failure | undefined)[] = [];
  readonly waiting = new Set<WaitingCall>();
  readonly backingOff = new Map<WaitingCall, NodeJS.Timeout>();
  failure: Failure | undefined;
  calls = 0;
  refusals = 0;

  shareOf(): ClientShare {
    return new ClientShare();
  }
  begin(): undefined {
    this.calls++;
  }
  end(): void {
    this.calls--;
  }
  pick(): PickedConnection | undefined {
    if (!this.isOpen) return undefined;
    const openStream = (): FakeStream => {
      const stream = new FakeStream(() => this.hasRoom);
      this.streams.push(stream);
      return stream;
    };
    return {
      connection: { openStream } as unknown as ClientConnection,
      authority: undefined,
      onCallBegun() {},
      onCallEnded: (failure) => void this.ends.push(failure),
    };
  }
  wait(call: WaitingCall): Failure | undefined {
    if (this.failure === undefined) this.waiting.add(call);
    return this.failure;
  }
  waitRefused(call: WaitingCall): Failure | undefined {
    this.refusals++;
    return this.wait(call);
  }
  backOff(call: WaitingCall, milliseconds: number): void {
    const timer = setTimeout(() => {
      this.backingOff.delete(call);
      const picked = this.pick();
      if (picked !== undefined) call.onConnection(picked);
      else if (this.wait(call) !== undefined) call.onUnavailable(this.failure!);
    }, milliseconds);
    this.backingOff.set(call, timer);
  }
  stopWaiting(call: WaitingCall): void {
    this.waiting.delete(call);
    clearTimeout(this.backingOff.get(call));
    this.backingOff.delete(call);
  }

  serve(): void {
    for (const call of this.waiting) {
      this.waiting.delete(call);
      call.onConnection(this.pick()!);
    }
  }

  get last(): FakeStream {
    return this.streams.at(-1)!;
  }
}

function start(channel: FakeChannel, request: Partial<OutgoingRequest> = {}, retry = false) {
  const drained = deferred();
  const end = deferred<{ failure: Failure | undefined; trailers: string[] | undefined }>();
  const heard: string[] = [];
  const receiver: CallReceiver = {
    onOpen: () => void heard.push('open'),
    onOpenFailed: (failure) => {
      heard.push('open failed');
      end.resolve({ failure, trailers: undefined });
    },
    onHeaders: () => void heard.push('headers'),
    onData: () => void heard.push('data'),
    onDrain: () => {
      heard.push('drain');
      drained.resolve();
    },
    onFinish: (failure, trailers) => {
      heard.push('finish');
      end.resolve({ failure, trailers });
    },
  };
  const policy = {
    maxAttempts: 3,
    codes: [Code.UNAVAILABLE],
    initialBackoff: 1,
    maxBackoff: 1,
    multiplier: 1,
  };
  const context = {
    method: '/test.Service/Method',
    headers: ['content-type', 'application/grpc', 'grpc-previous-rpc-attempts', '7'],
    hasOwnMetadata: false,
    metadata: new Metadata(),
    authority: undefined,
    deadline: undefined,
    ownSignals: [],
  };
  const route = { target: 'backend:1', scheme: 'http' as const, channel };
  const call = new ClientCall(
    route,
    {
      context,
      options: {},
      credentials: undefined,
      inheritsEnd: true,
      retries: retry ? Retries.by(policy, new RetryThrottle()) : undefined,
      ...request,
    },
    receiver,
    NO_HOLDER,
  );
  call.start();
  return { call, heard, end: end.promise, drained: drained.promise };
}

const chunk = (text: string): Buffer => Buffer.from(text);

t.test(
  'an attempt that nothing was sent of is made again as often as it takes, with the same bytes',
  async (t) => {
    const channel = new FakeChannel();
    const { call, heard, end } = start(channel);
    call.sendData(chunk('one'), false);
    for (let i = 1; i <= 20; i++) {
      channel.last.receiver.onReset(UNSENT);
      t.equal(channel.refusals, i, 'each time by way of the channel');
      if (i === 7) call.sendData(chunk('two'), true);
      channel.serve();
    }
    t.equal(channel.streams.length, 21);
    t.equal(`${channel.last.bytes}`, 'onetwo');
    t.ok(channel.last.ended);
    channel.last.receiver.onHeaders([':status', '200', 'content-type', 'application/grpc'], false);
    channel.last.receiver.onHeaders(OK, true);
    t.equal((await end).failure, undefined);
    t.strictSame(heard, ['open', 'drain', 'headers', 'finish']);
    t.equal(call.attempts, 21);
    t.equal(channel.ends.length, 21);
    t.equal(channel.calls, 0);
  },
);

t.test('what was refused is tried again once in all, before or after what was not sent', async (t) => {
  const channel = new FakeChannel();
  const { end } = start(channel);
  for (const reset of [UNSENT, REFUSED, UNSENT, UNSENT]) {
    channel.last.receiver.onReset(reset);
    channel.serve();
  }
  channel.last.receiver.onReset(REFUSED);
  t.match((await end).failure, { error: { code: Code.UNAVAILABLE }, reason: 'backend_reset' });
  t.equal(channel.streams.length, 5);
});

t.test('what may have been sent is not tried again when its connection is lost', async (t) => {
  const channel = new FakeChannel();
  const { end } = start(channel);
  channel.last.receiver.onReset(LOST);
  t.match((await end).failure, { error: { code: Code.UNAVAILABLE }, reason: 'backend_connection_lost' });
  t.equal(channel.streams.length, 1);
});

t.test('what was not sent is tried again only as long as all of it is kept: 64 KiB', async (t) => {
  for (const [bytes, again] of [
    [64 * 1024, true],
    [64 * 1024 + 1, false],
  ] as const) {
    const channel = new FakeChannel();
    const { call, end } = start(channel);
    call.sendData(Buffer.alloc(bytes), false);
    channel.last.receiver.onReset(UNSENT);
    t.equal(channel.waiting.size, again ? 1 : 0);
    if (again) call.cancel();
    else t.match((await end).failure, { error: { code: Code.UNAVAILABLE } });
    t.equal(heldBytes(), 0);
  }
});

t.test('a call whose channel is shut fails with that when it would be tried again', async (t) => {
  const channel = new FakeChannel();
  const { end } = start(channel);
  channel.failure = { error: new StatusError(Code.UNAVAILABLE, 'closed'), reason: 'backend_connect' };
  channel.last.receiver.onReset(UNSENT);
  t.equal((await end).failure, channel.failure);
});

t.test('a call that waits to be tried again can be cancelled', (t) => {
  const channel = new FakeChannel();
  const { call, heard } = start(channel);
  call.sendData(Buffer.alloc(10_000), false);
  channel.last.receiver.onReset(UNSENT);
  t.equal(call.sendData(Buffer.alloc(10_000), false), false, 'held back meanwhile');
  call.cancel();
  t.equal(channel.waiting.size, 0);
  t.equal(channel.calls, 0);
  t.equal(heldBytes(), 0);
  t.strictSame(heard, ['open']);
  t.end();
});

t.test('a policy goes on where a connection could not be made, and opens the call late', async (t) => {
  const channel = new FakeChannel();
  channel.isOpen = false;
  channel.failure = { error: new StatusError(Code.UNAVAILABLE, 'refused'), reason: 'backend_connect' };
  const { call, heard } = start(channel, {}, true);
  t.strictSame(heard, []);
  channel.isOpen = true;
  await eventually('the second attempt', () => channel.streams.length === 1);
  t.strictSame(heard, ['open']);
  t.equal(call.attempts, 1);
  t.equal(fieldValue(channel.last.headers, 'grpc-previous-rpc-attempts'), '1');
  // What is sent from now on is kept as for any attempt: not for ever.
  call.sendData(Buffer.alloc(60_000), false);
  call.sendData(Buffer.alloc(60_000), false);
  t.equal(heldBytes(), 0, 'and not beyond the limit');
  call.cancel();
});

t.test('a policy that no connection can serve ends with the last failure', async (t) => {
  const channel = new FakeChannel();
  channel.isOpen = false;
  channel.failure = { error: new StatusError(Code.UNAVAILABLE, 'refused'), reason: 'backend_connect' };
  const { heard, end } = start(channel, {}, true);
  t.equal((await end).failure, channel.failure);
  t.strictSame(heard, ['open failed']);
  t.equal(channel.calls, 0);
});

t.test('while it backs off, what comes is kept and held back; cancelling leaves nothing', async (t) => {
  const channel = new FakeChannel();
  const { call, heard, drained } = start(channel, {}, true);
  t.equal(call.sendData(chunk('one'), false), true);
  const [first] = channel.streams;
  first!.receiver.onHeaders(UNAVAILABLE, true);
  t.equal(first!.resetCode, ErrorCode.CANCEL, 'the backend need not take the rest');
  t.equal(call.sendData(Buffer.alloc(100_000, 'x'), false), false);
  t.equal(heldBytes() >= 100_000, true);
  await drained;
  t.strictSame(heard, ['open', 'drain']);
  t.equal(channel.last.bytes.length, 100_003);
  t.equal(heldBytes(), 0, 'it has become too much for a third attempt');
  channel.last.receiver.onHeaders(UNAVAILABLE, true);
  t.strictSame(heard, ['open', 'drain', 'finish']);
  const other = start(channel, {}, true);
  other.call.sendData(Buffer.alloc(10_000), false);
  channel.last.receiver.onHeaders(UNAVAILABLE, true);
  const streams = channel.streams.length;
  other.call.cancel();
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(channel.streams.length, streams);
  t.equal(heldBytes(), 0);
  t.equal(channel.calls, 0);
});

t.test('a next attempt that has no room holds back until it has', async (t) => {
  const channel = new FakeChannel();
  const { call, heard } = start(channel, {}, true);
  channel.hasRoom = false;
  t.equal(call.sendData(chunk('one'), false), false);
  channel.last.receiver.onHeaders(UNAVAILABLE, true);
  await eventually('the second attempt', () => channel.streams.length === 2);
  t.strictSame(heard, ['open']);
  channel.last.receiver.onDrain();
  t.strictSame(heard, ['open', 'drain']);
  call.cancel();
});

t.test('a late event of an attempt that was left is nothing to the next', async (t) => {
  const channel = new FakeChannel();
  const { call, end } = start(channel, {}, true);
  const [first] = channel.streams;
  first!.receiver.onHeaders(UNAVAILABLE, true);
  await eventually('the second attempt', () => channel.streams.length === 2);
  t.equal(first!.resetCode, ErrorCode.CANCEL, 'after which a stream delivers nothing');
  channel.last.receiver.onHeaders([':status', '200', 'content-type', 'application/grpc', ...OK], true);
  t.equal((await end).failure, undefined);
  t.equal(call.attempts, 2);
});

t.test('the deadline and a signal end a call that backs off', async (t) => {
  const controller = new AbortController();
  const context = {
    method: '/test.Service/Method',
    headers: [],
    hasOwnMetadata: false,
    metadata: new Metadata(),
    authority: undefined,
  };
  const pushback = [...UNAVAILABLE, 'grpc-retry-pushback-ms', '60000'];
  const ends = [
    { deadline: Date.now() + 50, ownSignals: [] },
    { deadline: undefined, ownSignals: [controller.signal] },
  ];
  const calls = ends.map((end) => {
    const channel = new FakeChannel();
    const started = start(channel, { context: { ...context, ...end }, inheritsEnd: false }, true);
    channel.last.receiver.onHeaders(pushback, true);
    return { channel, ...started };
  });
  controller.abort();
  const codes = [];
  for (const { channel, end } of calls) {
    codes.push((await end).failure?.error.code);
    t.equal(channel.streams.length, 1);
    t.equal(channel.calls, 0);
  }
  t.strictSame(codes, [Code.DEADLINE_EXCEEDED, Code.CANCELLED]);
});

t.test('a channel that is shut has no further attempts', async (t) => {
  const channel = new FakeChannel();
  const { end } = start(channel, {}, true);
  channel.state = { name: 'SHUTDOWN' };
  channel.last.receiver.onReset(LOST);
  t.match((await end).failure, { reason: 'backend_connection_lost' });
});
