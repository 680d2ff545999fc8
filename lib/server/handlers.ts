import { ownError } from '../port/errors.js';
import type { StreamHandler } from './handler.js';

/** Handlers by the names of methods: a plain object, or an instance of a class. */
export type StreamHandlers<T> = T & { readonly [Method in keyof T]: StreamHandler };

/**
 * The handlers in an object, bound to it: its own, and the methods of its class and those which that extends.
 *
 * @throws TypeError that names the service, and the method, if what should be a handler is none, or there are none
 */
export function handlersIn(service: string, handlers: object): ReadonlyMap<string, StreamHandler> {
  const where = `service ${JSON.stringify(service)}`;
  if (
    typeof handlers !== 'object' ||
    handlers === null ||
    Array.isArray(handlers) ||
    handlers instanceof Map
  ) {
    throw wrong(`${where}: its handlers must be an object that has them by the names of methods`);
  }
  const found = new Map<string, StreamHandler>();
  const seen = new Set<string>();
  for (const name of Object.keys(handlers)) {
    const value: unknown = Reflect.get(handlers, name);
    seen.add(name);
    if (typeof value === 'function') found.set(name, value.bind(handlers));
    // What else an instance of a class has is its state.
    else if (isPlain(handlers)) throw wrong(`${where}: the handler of ${name} is not a function`);
  }
  for (const prototype of prototypesOf(handlers)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name === 'constructor' || seen.has(name)) continue;
      seen.add(name);
      if (typeof value === 'function') found.set(name, value.bind(handlers));
    }
  }
  if (found.size === 0)
    throw ownError('ERR_INVALID_ARG_VALUE', `${where}: there is no handler in what was given for it`);
  return found;
}

function wrong(message: string): TypeError {
  return ownError('ERR_INVALID_ARG_TYPE', message);
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === null || prototype === Object.prototype;
}

/** Those of its class and the ones which that extends, the nearest first. */
function* prototypesOf(object: object): Iterable<object> {
  let prototype: object | null = Object.getPrototypeOf(object);
  while (prototype !== null && prototype !== Object.prototype) {
    yield prototype;
    prototype = Object.getPrototypeOf(prototype);
  }
}
