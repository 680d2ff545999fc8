/**
 * Marks by which copies of this package know each other's objects. A process can have several: of different versions, by
 * nested dependencies, or twice the same, by another URL. `instanceof` alone knows its own copy's only.
 */

/**
 * Marks the objects of a class, and lets `instanceof` ask for the mark. A class that extends it is asked as ever, unless
 * it is marked, too.
 */
export function brand(type: { readonly prototype: object }, name: string): void {
  const mark = markOf(name);
  Object.defineProperty(type.prototype, mark, { value: true });
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      return this === type ? has(value, mark) : Function.prototype[Symbol.hasInstance].call(this, value);
    },
  });
}

/** Whether a value has the mark of a class. What it does beyond that is for no copy to rely on: it may be anything. */
export function hasBrand(value: unknown, name: string): value is object {
  return has(value, markOf(name));
}

function has(value: unknown, mark: symbol): value is object {
  try {
    return typeof value === 'object' && value !== null && mark in value;
  } catch {
    // A proxy.
    return false;
  }
}

/** Whether a value is the class itself that has the mark, of whichever copy. */
export function isBranded(type: unknown, name: string): boolean {
  try {
    return typeof type === 'function' && Object.hasOwn(type.prototype, markOf(name));
  } catch {
    return false;
  }
}

/**
 * What an error says further of a value that it refuses, if another copy of this package has made it: nobody would find out.
 * Connections and calls are of use to their own copy alone: the chunks that they lend are known there only.
 */
export function ofAnotherCopy(value: unknown, name: string): string {
  return hasBrand(value, name) ? ': this one is of another copy of grpc-frame-proxy in this process' : '';
}

function markOf(name: string): symbol {
  return Symbol.for(`grpc-frame-proxy.${name}`);
}
