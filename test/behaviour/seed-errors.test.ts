import * as grpc from '@grpc/grpc-js';
import {
  Code,
  type Destination,
  type ErrorVerdict,
  type ResponseObserver,
  StatusError,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { echo, failWith } from '../support/grpc-backend.js';

// The counterpart of the seed's tests of how errors travel, and of how destinations are failed.

const METHOD = '/mwitkow.testproto.TestService/Ping';

interface Propagation {
  readonly name: string;
  readonly backendFails?: boolean;
  readonly directorFails?: boolean;
  readonly finalizerFails?: boolean;
  readonly errHandler?: (error: StatusError) => ErrorVerdict;
  readonly expected: readonly [Code, string];
  /** Messages that a handler and a finalizer must have got. */
  readonly handled?: readonly string[];
  readonly finalized: readonly (string | undefined)[];
}

const BACKEND = [Code.INVALID_ARGUMENT, 'backend error'] as const;
const DIRECTOR = [Code.FAILED_PRECONDITION, 'director error'] as const;
const FINALIZER = [Code.INTERNAL, 'request finalizer error'] as const;

const PROPAGATIONS: readonly Propagation[] = [
  {
    name: 'the backend’s error reaches the client',
    backendFails: true,
    expected: BACKEND,
    finalized: ['backend error'],
  },
  { name: 'the director’s error reaches the client', directorFails: true, expected: DIRECTOR, finalized: [] },
  {
    name: 'the finalizer’s error reaches the client',
    finalizerFails: true,
    expected: FINALIZER,
    finalized: [undefined],
  },
  {
    name: 'the director’s error comes before all others, which do not happen',
    backendFails: true,
    directorFails: true,
    finalizerFails: true,
    expected: DIRECTOR,
    finalized: [],
  },
  {
    name: 'the backend’s error comes before the finalizer’s',
    backendFails: true,
    finalizerFails: true,
    expected: BACKEND,
    finalized: ['backend error'],
  },
  {
    name: 'the error handler gets the error, and returns it',
    backendFails: true,
    finalizerFails: true,
    errHandler: (error) => error,
    expected: BACKEND,
    handled: ['backend error'],
    finalized: ['backend error'],
  },
  {
    name: 'the error handler swallows the error',
    backendFails: true,
    errHandler: () => null,
    expected: [Code.OK, ''],
    handled: ['backend error'],
    finalized: [undefined],
  },
  {
    name: 'a swallowed error surfaces the finalizer’s',
    backendFails: true,
    finalizerFails: true,
    errHandler: () => null,
    expected: FINALIZER,
    handled: ['backend error'],
    finalized: [undefined],
  },
];

for (const propagation of PROPAGATIONS) {
  const { name, backendFails, directorFails, finalizerFails, errHandler, expected } = propagation;
  behaviour(name, async (t, world) => {
    let backendCalls = 0;
    const backend = await world.grpcBackend({
      [METHOD]: (call) => {
        backendCalls++;
        if (backendFails) failWith(grpc.status.INVALID_ARGUMENT, BACKEND[1])(call);
        else call.end();
      },
    });
    const conn = world.dial(backend.port);
    const handled: string[] = [];
    const finalized: (string | undefined)[] = [];
    const proxy = await world.proxy(() => {
      if (directorFails) throw new StatusError(...DIRECTOR);
      return {
        primary: {
          conn,
          errHandler:
            errHandler &&
            ((error) => {
              t.equal(error.code, BACKEND[0]);
              handled.push(error.message);
              return errHandler(error);
            }),
        },
        requestFinalizer: (error) => {
          finalized.push(error?.message);
          if (finalizerFails) throw new StatusError(...FINALIZER);
        },
      };
    });
    const result = await world.grpcClient(proxy.port).call(METHOD, ['']);
    t.strictSame([result.code, result.details], expected);
    t.strictSame(result.messages, []);
    t.strictSame(handled, propagation.handled ?? []);
    t.strictSame(finalized, propagation.finalized);
    t.equal(backendCalls, directorFails ? 0 : 1);
  });
}

/** Nothing listens there: the port belongs to a backend that has gone. */
async function deadPort(world: World): Promise<number> {
  const backend = await world.http2Backend(() => {});
  backend.destroy();
  return backend.port;
}

behaviour('a primary that cannot be reached fails the call without any error handler', async (t, world) => {
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const alive = world.dial(backend.port);
  const dead = world.dial(await deadPort(world));
  const finalized: (Code | undefined)[] = [];
  const proxy = await world.proxy(() => ({
    primary: { conn: dead },
    secondaries: [{ conn: alive }],
    requestFinalizer: (error) => {
      finalized.push(error?.code);
    },
  }));
  const result = await world.grpcClient(proxy.port).call(METHOD, ['foo']);
  t.equal(result.code, grpc.status.UNAVAILABLE);
  t.match(result.details, /^cannot connect to 127\.0\.0\.1:\d+: /);
  t.strictSame(result.messages, []);
  t.strictSame(finalized, [Code.UNAVAILABLE]);
});

// The seed fails such a call with the original error, before any message is sent (lib/BEHAVIOUR.md section 7).
behaviour('a secondary that cannot be reached fails the call without any error handler', async (t, world) => {
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const alive = world.dial(backend.port);
  const dead = world.dial(await deadPort(world));
  const finalized: (Code | undefined)[] = [];
  const proxy = await world.proxy(() => ({
    primary: { conn: alive },
    secondaries: [{ conn: dead }],
    requestFinalizer: (error) => {
      finalized.push(error?.code);
    },
  }));
  const result = await world.grpcClient(proxy.port).call(METHOD, ['foo']);
  t.equal(result.code, grpc.status.INTERNAL);
  t.match(
    result.details,
    /^failed proxying to secondary: initiate secondary stream: cannot connect to 127\.0\.0\.1:\d+: /,
  );
  t.strictSame(finalized, [Code.INTERNAL]);
});

behaviour('a primary that cannot be reached is told to every error handler', async (t, world) => {
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const alive = world.dial(backend.port);
  const dead = world.dial(await deadPort(world));
  const told: string[] = [];
  const observed: string[] = [];
  function destination(role: string): Destination {
    const observer: ResponseObserver = { onStatus: (error) => observed.push(`${role} ${error?.code}`) };
    return {
      conn: role === 'primary' ? dead : alive,
      observer,
      // Its verdict, to go on, is ignored.
      errHandler: (error) => {
        told.push(`${role}: ${error.code} ${error.message.replace(/127.*/, '…')}`);
        return null;
      },
    };
  }
  const proxy = await world.proxy(() => ({
    primary: destination('primary'),
    secondaries: [destination('secondary 1'), destination('secondary 2')],
  }));
  const result = await world.grpcClient(proxy.port).call(METHOD, ['foo']);
  t.equal(result.code, grpc.status.UNAVAILABLE);
  t.match(result.details, /^cannot connect to /, 'the original error');
  t.strictSame(told, [
    'primary: 14 initiate primary stream: cannot connect to …',
    'secondary 1: 14 initiate primary stream: cannot connect to …',
    'secondary 2: 14 initiate primary stream: cannot connect to …',
  ]);
  t.strictSame(observed.toSorted(), ['primary 14', 'secondary 1 14', 'secondary 2 14']);
});
