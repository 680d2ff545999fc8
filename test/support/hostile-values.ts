import { Metadata } from '@grpc/grpc-js';
import { Code, StatusError } from '../../lib/index.js';

/** A value that the types forbid. */
export function untyped<T>(value: unknown): T {
  return value as T;
}

export function throwing(thrown: unknown): () => never {
  return () => {
    throw thrown;
  };
}

/** The object with a property that throws whenever it is read. */
export function withTrap<T extends object>(object: T, ...names: readonly PropertyKey[]): T {
  for (const name of names) Object.defineProperty(object, name, { get: throwing(new Error('a trap')) });
  return object;
}

/** An object that throws at whatever is done with it. */
export function mine(): object {
  const explode = throwing(new Error('a mine'));
  const names = Reflect.ownKeys(Reflect) as (keyof ProxyHandler<object>)[];
  return new Proxy({}, Object.fromEntries(names.map((name) => [name, explode])));
}

/** A subclass of an application, that does what it likes. */
class Lying extends StatusError {
  override toTrailers(): never {
    throw new Error('no trailers');
  }
}

function ofGrpcJs(properties: object): Error {
  const error = { code: Code.NOT_FOUND, details: 'of grpc-js', metadata: new Metadata(), ...properties };
  return Object.assign(new Error('5 NOT_FOUND: of grpc-js'), error);
}

/** What JavaScript lets be thrown, the code that it is by, and the text that says it. */
export const THROWN: readonly (readonly [thrown: unknown, code: Code, text: string])[] = [
  [new Error('an error'), Code.UNKNOWN, 'an error'],
  ['a string', Code.UNKNOWN, 'a string'],
  [undefined, Code.UNKNOWN, 'undefined'],
  [null, Code.UNKNOWN, 'null'],
  [7, Code.UNKNOWN, '7'],
  [7n, Code.UNKNOWN, '7'],
  [Symbol('s'), Code.UNKNOWN, 'Symbol(s)'],
  [Object.create(null), Code.UNKNOWN, 'unknown error'],
  [{ toString: throwing(new Error('no text')) }, Code.UNKNOWN, 'unknown error'],
  [withTrap({}, 'toString', 'then'), Code.UNKNOWN, 'unknown error'],
  [mine(), Code.UNKNOWN, 'unknown error'],
  [Object.freeze(new Error('frozen')), Code.UNKNOWN, 'frozen'],
  [withTrap(new Error('trapped'), 'stack', 'name', 'code', 'cause', 'detail'), Code.UNKNOWN, 'trapped'],
  [Object.assign(new Error('odd'), { code: Symbol('c'), name: Symbol('n') }), Code.UNKNOWN, 'odd'],
  [withTrap(new Error(), 'message'), Code.UNKNOWN, 'unknown error'],
  [
    Object.defineProperty(new Error(), 'message', { get: () => Object.create(null) }),
    Code.UNKNOWN,
    'unknown error',
  ],
  [new StatusError(Code.NOT_FOUND, 'not here'), Code.NOT_FOUND, 'not here'],
  [Object.freeze(new StatusError(Code.NOT_FOUND, 'frozen')), Code.NOT_FOUND, 'frozen'],
  [withTrap(new StatusError(Code.NOT_FOUND, ''), 'message'), Code.NOT_FOUND, 'unknown error'],
  [withTrap(new StatusError(Code.NOT_FOUND, 'trapped'), 'code'), Code.UNKNOWN, 'trapped'],
  [Object.assign(new StatusError(Code.NOT_FOUND, 'was 5'), { code: 0 }), Code.UNKNOWN, 'was 5'],
  [Object.assign(new StatusError(Code.NOT_FOUND, 'was 5'), { code: 'nonsense' }), Code.UNKNOWN, 'was 5'],
  [ofGrpcJs({}), Code.NOT_FOUND, 'of grpc-js'],
  [Object.freeze(ofGrpcJs({ metadata: { getMap: mine, get: mine } })), Code.NOT_FOUND, 'of grpc-js'],
  [ofGrpcJs({ code: 0 }), Code.UNKNOWN, '5 NOT_FOUND: of grpc-js'],
  [withTrap(ofGrpcJs({}), 'metadata'), Code.UNKNOWN, '5 NOT_FOUND: of grpc-js'],
  [new Lying(Code.NOT_FOUND, 'lying'), Code.NOT_FOUND, 'lying'],
];

/** Ways in which a call-back can fail with a value: at once, and by a promise. */
export function failures(thrown: unknown): readonly (() => never)[] {
  return [throwing(thrown), () => untyped<never>(Promise.reject(thrown))];
}

type Settle<T> = (value: T) => void;

/** Ways in which a call-back can be fulfilled with a value, each but the first by a promise that misbehaves, too. */
export function fulfilments<T>(value: T): readonly (() => Promise<T>)[] {
  const error = new Error('too late');
  const thenable = (then: (resolve: Settle<T>, reject: Settle<unknown>) => void) => () =>
    untyped<Promise<T>>({ then });
  return [
    () => Promise.resolve(value),
    thenable((resolve) => {
      resolve(value);
      resolve(value);
    }),
    thenable((resolve, reject) => {
      resolve(value);
      reject(error);
    }),
    thenable((resolve) => {
      resolve(value);
      throw error;
    }),
    () => withTrap(Promise.resolve(value), 'then'),
    () => {
      const twice = (resolve: Settle<T>): void => {
        resolve(value);
        resolve(value);
      };
      return Object.defineProperty(Promise.resolve(value), 'then', { value: twice });
    },
  ];
}

/** One that is never settled. */
export function never(): Promise<never> {
  return new Promise(() => {});
}
