/**
 * A callback that finds no key where it throws. Node calls it from inside of OpenSSL: what it throws would end the
 * process, at whatever the peer says that it is.
 */
export function orNull<A extends unknown[], R>(callback: (...values: A) => R): (...values: A) => R | null {
  return (...values) => {
    try {
      return callback(...values);
    } catch {
      return null;
    }
  };
}
