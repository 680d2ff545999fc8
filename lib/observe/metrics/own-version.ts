import { readFileSync } from 'node:fs';

/**
 * The version of this package; `unknown` where its package.json is not there, or another's is: a bundler may have put this
 * module anywhere, which must not keep a program from starting.
 *
 * @param place of package.json, as seen from this module
 */
export function ownVersion(place = '../../../../package.json'): string {
  try {
    const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
    return name === 'grpc-frame-proxy' ? version : 'unknown';
  } catch {
    return 'unknown';
  }
}
