/**
 * Names a value that a call's context carries, and says of what type it is. A key is itself alone, whatever its name: who
 * has it can read and set the value, and two keys of one name do not meet.
 *
 * @example
 * const USER = new ContextKey<User>('user');
 * const interceptor: StreamInterceptor = async (stream, next) =>
 *   next(stream.context.withValue(USER, await userOf(stream.context)));
 * const director: StreamDirector = (ctx) => ({ primary: { conn: shardOf(ctx.value(USER)) } });
 */
export class ContextKey<T> {
  /** For people, as when the key is printed. */
  readonly name: string;
  /** Never there: for the types alone, so that no key is taken for one of another type. */
  declare protected readonly typed: (value: T) => T;

  /** @param name what the value is; it need not be unique */
  constructor(name: string) {
    this.name = name;
  }
}

/** The values of a context: the last that was set, and those before. */
export interface ContextValues {
  readonly key: object;
  readonly value: unknown;
  readonly before: ContextValues | undefined;
}

/** The value that was last set by a key. */
export function valueIn<T>(values: ContextValues | undefined, key: ContextKey<T>): T | undefined {
  let at = values;
  while (at !== undefined && at.key !== key) at = at.before;
  // By its key's type: `withValue` sees to that.
  return at?.value as T | undefined;
}
