import t from 'tap';
import {
  type CompareOptions,
  compareResponses,
  type Destination,
  type StreamParameters,
} from '../../../lib/index.js';
import { ResponseWatch } from '../../../lib/proxy/response-observer.js';
import { untyped } from '../../support/hostile-values.js';
import { METHOD } from './compared-call.js';

const OPTIONS: CompareOptions = { onVerdict: () => {} };

function destination(conn: string): Destination {
  return untyped({ conn });
}

t.test('parameters with nobody to compare are given back as they are', async (t) => {
  for (const rest of [{}, { secondaries: [] }, { secondaries: undefined, shadows: [] }]) {
    const parameters = { primary: destination('primary'), ...rest };
    t.equal(compareResponses(parameters, OPTIONS), parameters);
  }
});

t.test('every group of destinations is watched, and all else stays', async (t) => {
  const observer = { onStatus: () => {} };
  const errHandler = () => null;
  const requestFinalizer = () => {};
  const callOptions = { waitForReady: true };
  const parameters = {
    primary: { ...destination('primary'), observer, errHandler },
    secondaries: { of: [destination('a'), destination('b')], need: 1 },
    shadows: [{ ...destination('c'), maxLagBytes: 7 }],
    requestFinalizer,
    callOptions,
  };
  const compared = untyped<typeof parameters>(
    compareResponses(untyped<StreamParameters>(parameters), OPTIONS),
  );
  const all = [compared.primary, ...compared.secondaries.of, ...compared.shadows];
  t.strictSame(
    all.map(({ conn }) => conn),
    ['primary', 'a', 'b', 'c'],
  );
  for (const each of all) t.ok(untyped<{ observer: unknown }>(each).observer instanceof ResponseWatch);
  t.equal(untyped<ResponseWatch>(compared.primary.observer).observer, observer);
  t.equal(compared.primary.errHandler, errHandler);
  t.equal(compared.secondaries.need, 1);
  t.equal(compared.shadows[0]!.maxLagBytes, 7);
  t.equal(compared.requestFinalizer, requestFinalizer);
  t.equal(compared.callOptions, callOptions);
  t.equal(parameters.primary.observer, observer, 'the application’s are not changed');
});

/** Accessors of these properties, each of which gives its own name. */
function accessors(...names: string[]): object {
  const prototype = {};
  for (const name of names) Object.defineProperty(prototype, name, { get: () => name });
  return Object.create(prototype) as object;
}

t.test('destinations, quorums and parameters may be objects with accessors', async (t) => {
  const names = ['conn', 'ctx', 'msg', 'errHandler'];
  const ofShadows = ['maxLagBytes', 'graceMilliseconds', 'percent', 'sampleKey'];
  const shadow = accessors(...names, ...ofShadows);
  const quorum = Object.create({ of: [accessors(...names)], need: 1 }) as object;
  const given = { ...accessors() };
  const parameters = { primary: accessors(...names), secondaries: quorum, shadows: [shadow] };
  Object.setPrototypeOf(given, { ...parameters, callOptions: 'options', requestFinalizer: 'finalizer' });
  const compared = compareResponses(untyped<StreamParameters>(given), OPTIONS);
  const same = (all: string[]) => Object.fromEntries(all.map((name) => [name, name]));
  t.match(compared, {
    primary: same(names),
    secondaries: { of: [same(names)], need: 1 },
    shadows: [same([...names, ...ofShadows])],
    callOptions: 'options',
    requestFinalizer: 'finalizer',
  });
});

t.test('what cannot be read is left to the call, and the others are watched', async (t) => {
  const trap = Object.defineProperty({}, 'observer', {
    get() {
      throw new Error('a trap');
    },
  });
  const shadows = [trap, destination('a')];
  const compared = compareResponses(
    untyped<StreamParameters>({ primary: destination('primary'), shadows }),
    OPTIONS,
  );
  t.equal(compared.shadows![0], trap);
  t.ok(compared.shadows![1]!.observer instanceof ResponseWatch);
  const parameters = Object.defineProperty({ primary: destination('primary') }, 'shadows', {
    get() {
      throw new Error('a trap');
    },
  });
  t.equal(compareResponses(parameters, OPTIONS), parameters);
});

t.test('nonsense is left to the call, which says what it is', async (t) => {
  for (const secondaries of [7, 'x', null]) {
    const parameters = untyped<StreamParameters>({ primary: destination('primary'), secondaries });
    t.equal(compareResponses(parameters, OPTIONS), parameters);
  }
  const parameters = untyped<StreamParameters>({ primary: undefined, secondaries: [null, 7] });
  t.match(compareResponses(parameters, OPTIONS), { primary: undefined, secondaries: [null, 7] });
});

t.test('who comes when the others have been answered is inconclusive', async (t) => {
  const results: string[] = [];
  const options: CompareOptions = { onVerdict: ({ result, target }) => results.push(`${target} ${result}`) };
  const { primary, secondaries } = compareResponses(
    { primary: destination('primary'), secondaries: [destination('a'), destination('b')] },
    options,
  );
  const call = {};
  const watch = ({ conn, observer }: Destination) =>
    untyped<ResponseWatch>(observer).watch({
      call,
      method: METHOD,
      target: String(conn),
      role: 'any',
      inScope: (hook) => hook(),
    });
  const [a, b] = secondaries as readonly Destination[];
  const ofPrimary = watch(primary)!;
  const ofA = watch(a!)!;
  for (const watcher of [ofPrimary, ofA]) watcher.onEnd(undefined, ['grpc-status', '0']);
  watch(b!)!.onEnd(undefined, ['grpc-status', '0']);
  t.strictSame(results, ['a same', 'b inconclusive']);
  t.equal(watch(primary), undefined, 'and a primary is only the first');
});
