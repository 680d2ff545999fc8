import {
  Code,
  type Destination,
  type ErrorVerdict,
  encodeMessage,
  Metadata,
  StatusError,
  type StreamParameters,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import type { Collected } from '../support/http2-body.js';
import { collectResponse, fieldValue, type Response } from '../support/http2-client.js';

import { dialled } from '../support/unary.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));
const ANSWER = encodeMessage(Buffer.from('answer'));

const ok: OnRequest = ({ stream }) => respond(stream, ANSWER);

function failing(code: Code, message: string): OnRequest {
  return ({ stream }) => respond(stream, ANSWER, { 'grpc-status': String(code), 'grpc-message': message });
}

interface Outcome {
  readonly response: Response;
  readonly status: string | undefined;
  readonly message: string | undefined;
  /** What the finalizer was told, each time. */
  readonly finalized: (StatusError | undefined)[];
}

type Extra = Partial<Destination>;

/** A call to a primary and secondaries that answer so, with these handlers. */
async function outcome(
  world: World,
  backends: readonly OnRequest[],
  extras: readonly Extra[] = [],
  more: Partial<StreamParameters> = {},
): Promise<Outcome> {
  const destinations: Destination[] = [];
  for (const [i, onRequest] of backends.entries()) {
    const backend = await world.http2Backend(onRequest);
    destinations.push({ conn: world.dial(backend.port), ...extras[i] });
  }
  const finalized: (StatusError | undefined)[] = [];
  const [primary, ...secondaries] = destinations;
  const proxy = await world.proxy(() => ({
    primary: primary!,
    secondaries,
    requestFinalizer: (error) => {
      finalized.push(error);
    },
    ...more,
  }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  const last = response.trailers ?? response.headers;
  return {
    response,
    status: fieldValue(last, 'grpc-status'),
    message: fieldValue(last, 'grpc-message'),
    finalized,
  };
}

behaviour("all destinations end OK: the primary's answer and trailers", async (t, world) => {
  const primary: OnRequest = ({ stream }) =>
    respond(stream, ANSWER, { 'grpc-status': '0', 'x-trailer': 'kept' });
  const { response, status, finalized } = await outcome(world, [primary, ok, ok]);
  t.equal(status, '0');
  t.equal(fieldValue(response.trailers, 'x-trailer'), 'kept');
  t.same(response.data, ANSWER);
  t.equal(response.resetCode, 0);
  t.same(finalized, [undefined]);
});

behaviour(
  "the primary's failure reaches the client as it is, and cancels the secondaries",
  async (t, world) => {
    const trailers = {
      'grpc-status': '9',
      'grpc-message': 'odd %E2%82%AC%zz text',
      'grpc-status-details-bin': 'bm90IHByb3RvYnVm',
      'x-trailer': ['1', '2'],
      'odd-bin': 'not base64!',
    };
    const cancelled: Promise<Collected>[] = [];
    const hangs: OnRequest = ({ body }) => {
      cancelled.push(body());
      if (cancelled.length === 2) bothThere();
    };
    let bothThere!: () => void;
    const both = new Promise<void>((resolve) => {
      bothThere = resolve;
    });
    const primary: OnRequest = ({ stream }) => {
      void both.then(() => respond(stream, ANSWER, trailers));
    };
    const backends = [primary, hangs, hangs];
    const { destinations } = await dialled(world, backends);
    const finalized: (StatusError | undefined)[] = [];
    const proxy = await world.proxy(() => ({
      primary: destinations[0]!,
      secondaries: destinations.slice(1),
      requestFinalizer: (error) => {
        finalized.push(error);
      },
    }));
    const stream = world.http2Client(proxy.port).open(METHOD);
    stream.write(MESSAGE);
    const response = await collectResponse(stream);
    t.same(response.data, ANSWER);
    const expected = Object.entries(trailers).flatMap(([name, value]) =>
      [value].flat().flatMap((one) => [name, one]),
    );
    t.same(response.trailers, expected);
    for (const body of await Promise.all(cancelled)) t.match(body, { aborted: true, resetCode: 8 });
    t.match(finalized, [{ code: Code.FAILED_PRECONDITION, message: 'odd €%zz text' }]);
  },
);

behaviour("a secondary's failure fails the call as INTERNAL", async (t, world) => {
  const { response, status, message, finalized } = await outcome(world, [
    ok,
    ok,
    failing(Code.NOT_FOUND, 'no such thing'),
  ]);
  t.equal(status, '13');
  t.equal(message, 'failed proxying to secondary: no such thing');
  t.same(response.data, ANSWER);
  t.match(finalized, [{ code: Code.INTERNAL }]);
});

behaviour("a secondary's failure does not end the other streams", async (t, world) => {
  const bodies: Promise<Collected>[] = [];
  const answersAtEnd: OnRequest = ({ stream, body }) => {
    const collected = body();
    bodies.push(collected);
    void collected.then(({ aborted }) => aborted || respond(stream, ANSWER));
  };
  let failed!: () => void;
  const failure = new Promise<void>((resolve) => {
    failed = resolve;
  });
  const { destinations } = await dialled(world, [answersAtEnd, failing(Code.ABORTED, 'early'), answersAtEnd]);
  const errHandler = (error: StatusError) => {
    failed();
    return error;
  };
  const [primary, second, third] = destinations;
  const proxy = await world.proxy(() => ({
    primary: primary!,
    secondaries: [{ ...second!, errHandler }, third!],
  }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  stream.write(MESSAGE);
  await failure;
  stream.end(MESSAGE);
  const { trailers } = await response;
  t.equal(fieldValue(trailers, 'grpc-status'), '13');
  t.equal(fieldValue(trailers, 'grpc-message'), 'failed proxying to secondary: early');
  for (const body of await Promise.all(bodies)) {
    t.same(body.data, Buffer.concat([MESSAGE, MESSAGE]));
    t.equal(body.aborted, false);
  }
});

behaviour("the primary's failure goes before a secondary's", async (t, world) => {
  let told!: () => void;
  const secondaryFailed = new Promise<void>((resolve) => {
    told = resolve;
  });
  const primary: OnRequest = (request) => {
    void secondaryFailed.then(() => failing(Code.DATA_LOSS, 'the primary')(request));
  };
  const errHandler = (error: StatusError) => {
    told();
    return error;
  };
  const { status, message } = await outcome(
    world,
    [primary, failing(Code.ABORTED, 'the secondary')],
    [{}, { errHandler }],
  );
  t.equal(status, '15');
  t.equal(message, 'the primary');
});

const verdicts: Record<
  string,
  [(error: StatusError) => ErrorVerdict | Promise<ErrorVerdict>, string | undefined]
> = {
  'that swallows': [() => null, undefined],
  'that swallows later': [async () => null, undefined],
  'that returns nothing': [() => {}, 'aborted'],
  'that returns nothing, later': [async () => undefined, 'aborted'],
  'that returns the error': [(error) => error, 'aborted'],
  'that returns the error later': [async (error) => error, 'aborted'],
  'that returns another error': [() => new Error('another'), 'another'],
  'that returns another error later': [async () => new StatusError(Code.NOT_FOUND, 'another'), 'another'],
  'that throws': [
    () => {
      throw new Error('thrown');
    },
    'thrown',
  ],
  'that throws later': [
    async () => {
      throw new Error('thrown');
    },
    'thrown',
  ],
};

for (const [how, [errHandler, expected]] of Object.entries(verdicts)) {
  behaviour(`a secondary's error handler ${how}`, async (t, world) => {
    const told: StatusError[] = [];
    const handler = (error: StatusError) => {
      told.push(error);
      return errHandler(error);
    };
    const { status, message, finalized, response } = await outcome(
      world,
      [ok, failing(Code.ABORTED, 'aborted')],
      [{}, { errHandler: handler }],
    );
    t.match(told, [{ code: Code.ABORTED, message: 'aborted' }]);
    t.equal(told.length, 1);
    t.equal(status, expected === undefined ? '0' : '13');
    t.equal(message, expected === undefined ? undefined : `failed proxying to secondary: ${expected}`);
    t.equal(finalized.length, 1);
    t.same(response.data, ANSWER);
  });
}

for (const later of [false, true]) {
  const when = later ? ' later' : '';
  const answer = <T>(value: T): T | Promise<T> => (later ? Promise.resolve(value) : value);

  behaviour(`the primary's error handler swallows${when}: OK with what was forwarded`, async (t, world) => {
    const { status, response, finalized } = await outcome(
      world,
      [failing(Code.ABORTED, 'aborted'), ok],
      [{ errHandler: () => answer(null) }],
    );
    t.equal(status, '0');
    t.same(response.data, ANSWER);
    t.same(finalized, [undefined]);
  });

  behaviour(`the primary's error handler returns nothing${when}: its failure as it is`, async (t, world) => {
    const { status, message, finalized } = await outcome(
      world,
      [failing(Code.ABORTED, 'aborted'), ok],
      [{ errHandler: () => answer(undefined) }],
    );
    t.equal(status, '10');
    t.equal(message, 'aborted');
    t.match(finalized, [{ code: Code.ABORTED }]);
  });

  behaviour(`the primary's error handler replaces the error${when}`, async (t, world) => {
    const trailers = new Metadata({ 'x-why': 'replaced' });
    const { status, message, response } = await outcome(
      world,
      [failing(Code.ABORTED, 'aborted'), ok],
      [{ errHandler: () => answer(new StatusError(Code.NOT_FOUND, 'another', trailers)) }],
    );
    t.equal(status, '5');
    t.equal(message, 'another');
    t.equal(fieldValue(response.trailers, 'x-why'), 'replaced');
  });

  behaviour(`the primary's error handler returns the error${when}: raw trailers`, async (t, world) => {
    const primary: OnRequest = ({ stream }) =>
      respond(stream, ANSWER, { 'grpc-status': '10', 'grpc-message': '%zz', 'x-trailer': 'kept' });
    const { response } = await outcome(world, [primary, ok], [{ errHandler: (error) => answer(error) }]);
    t.same(response.trailers, ['grpc-status', '10', 'grpc-message', '%zz', 'x-trailer', 'kept']);
  });
}

behaviour('the final status waits for every secondary', async (t, world) => {
  let release!: () => void;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow: OnRequest = ({ stream }) => {
    void released.then(() => respond(stream));
  };
  const { destinations } = await dialled(world, [ok, slow]);
  const proxy = await world.proxy(() => ({ primary: destinations[0]!, secondaries: [destinations[1]!] }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  stream.end(MESSAGE);
  await new Promise((resolve) => stream.once('data', resolve));
  let ended = false;
  stream.once('trailers', () => {
    ended = true;
  });
  for (let i = 0; i < 5; i++) await new Promise((resolve) => stream.session!.ping(resolve));
  t.equal(ended, false);
  release();
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
});

const finalizers: Record<string, () => void | Promise<void>> = {
  throws: () => {
    throw new StatusError(Code.DATA_LOSS, 'the finalizer');
  },
  'throws later': async () => {
    throw new StatusError(Code.DATA_LOSS, 'the finalizer');
  },
};

for (const [how, requestFinalizer] of Object.entries(finalizers)) {
  behaviour(`the finalizer ${how}: its error counts if there is no other`, async (t, world) => {
    const { status, message } = await outcome(world, [ok, ok], [], { requestFinalizer });
    t.equal(status, '15');
    t.equal(message, 'the finalizer');
  });

  behaviour(`the finalizer ${how}: a secondary's error goes before it`, async (t, world) => {
    const { status } = await outcome(world, [ok, failing(Code.ABORTED, '')], [], { requestFinalizer });
    t.equal(status, '13');
  });

  behaviour(`the finalizer ${how}: the primary's error goes before it`, async (t, world) => {
    const { status } = await outcome(world, [failing(Code.ABORTED, '')], [], { requestFinalizer });
    t.equal(status, '10');
  });
}

behaviour('the status waits for the finalizer', async (t, world) => {
  let release!: () => void;
  let called!: () => void;
  const calls = new Promise<void>((resolve) => {
    called = resolve;
  });
  const { destinations } = await dialled(world, [ok]);
  const proxy = await world.proxy(() => ({
    primary: destinations[0]!,
    requestFinalizer: () => {
      called();
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    },
  }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  let ended = false;
  stream.once('trailers', () => {
    ended = true;
  });
  stream.end(MESSAGE);
  await calls;
  await new Promise((resolve) => stream.session!.ping(resolve));
  t.equal(ended, false);
  release();
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
});

behaviour('no finalizer runs when the director threw', async (t, world) => {
  const proxy = await world.proxy(() => {
    throw new StatusError(Code.PERMISSION_DENIED, 'not you');
  });
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.headers, 'grpc-status'), '7');
  t.equal(response.trailersOnly, true);
});
