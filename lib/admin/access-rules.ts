import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { wrongType, wrongValue } from '../port/errors.js';

/**
 * Who may ask: what a browser sends for a foreign page must not get through. A foreign name that was made to point here
 * (DNS rebinding) shows in `Host`; another origin's request that changes something shows in `Origin`.
 */
export class AccessRules {
  readonly #hosts: ReadonlySet<string>;

  /** @throws TypeError for what no `Host` can be @param hosts names by which the endpoint is reached, besides IP addresses and `localhost` */
  constructor(hosts: readonly string[]) {
    if (!Array.isArray(hosts)) throw wrongType('hosts', 'an array of names', hosts);
    this.#hosts = new Set(['localhost', ...hosts.map(checkedName)]);
  }

  /**
   * What is wrong with a request; undefined if it may be answered.
   *
   * @param asked whom it is asked of, if the request's target says it
   */
  refusalOf({ headersDistinct }: IncomingMessage, asked: string | undefined): string | undefined {
    const { host = [], origin = [] } = headersDistinct;
    const own = asked ?? host[0];
    // "A server MUST respond with a 400 status code to any request message that … contains more than one Host header
    // line" (RFC 9112 section 3.2); for who asks so, 403 says as much.
    if (own === undefined || host.length > 1 || !this.#isOwn(own)) return 'this Host is not one of mine';
    if (origin.length === 0) return undefined;
    const isOwnOrigin = origin.length === 1 && origin[0]!.toLowerCase() === `http://${own.toLowerCase()}`;
    return isOwnOrigin ? undefined : 'this Origin is not mine';
  }

  #isOwn(host: string): boolean {
    const match = /^(\[[^[\]]+\]|[^[\]:]+)(?::\d{1,5})?$/.exec(host);
    if (match === null) return false;
    const name = match[1]!.toLowerCase();
    if (name.startsWith('[')) return isIP(name.slice(1, -1)) === 6;
    return isIP(name) === 4 || this.#hosts.has(name);
  }
}

/** @throws TypeError for what no `Host` can be */
function checkedName(host: string): string {
  if (typeof host === 'string' && /^[\w.-]+$/.test(host)) return host.toLowerCase();
  throw wrongValue('hosts', 'names without a port, as proxy.internal', host);
}
