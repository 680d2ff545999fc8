import net from 'node:net';

/** Where a server listens: TCP, or a unix socket. */
export type ListenAddress = { readonly host?: string; readonly port: number } | { readonly path: string };

/** Where a backend is: a TCP address, or a unix socket. */
export type DialAddress = { readonly host: string; readonly port: number } | { readonly path: string };

const LISTEN_FORMS = 'HOST:PORT, :PORT or unix:/PATH';

/**
 * Reads an address to listen at; without a host it is every interface.
 *
 * @throws TypeError that says what an address looks like
 */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('unix:')) return { path: unixPath(text, LISTEN_FORMS) };
  const { host, port } = hostAndPort(text, LISTEN_FORMS);
  return host === '' ? { port } : { host, port };
}

/** An address as text, in the form that {@link parseListenAddress} takes. */
export function formatAddress(address: ListenAddress | DialAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  const host = address.host ?? '';
  return `${net.isIPv6(host) ? `[${host}]` : host}:${address.port}`;
}

/** `[ userinfo "@" ] host [ ":" port ]`, by the characters that RFC 3986 (section 3.2) allows in it. */
const AUTHORITY = /^[\w.~!$&'()*+,;=:@%[\]-]+$/;

/**
 * An `:authority` that an application asks for.
 *
 * @param option by which it does
 * @throws TypeError, which names the option, for what cannot be one: some of it would end the connection (NUL does, on
 *   node:http2)
 */
export function checkedAuthority(option: string, authority: string): string {
  if (typeof authority === 'string' && AUTHORITY.test(authority)) return authority;
  const what =
    typeof authority === 'string' ? JSON.stringify(authority) : `a value of type ${typeof authority}`;
  throw new TypeError(`${option} must be HOST or HOST:PORT, not ${what}`);
}

/**
 * Reads `HOST:PORT`, where an IPv6 address stands in brackets.
 *
 * @param forms what an address may look like, for the error
 * @param defaultPort where there is no port; undefined: there must be one
 * @throws TypeError for anything else
 */
export function hostAndPort(
  text: string,
  forms: string,
  defaultPort?: number,
): { host: string; port: number } {
  const match = /^(\[[^\]]+\]|[^:/\s]*)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (match === null || port === undefined || port > 65535) {
    throw new TypeError(`${JSON.stringify(text)} is no address: give ${forms}`);
  }
  return { host: withoutBrackets(match[1]!), port };
}

/** @throws TypeError, with the forms that an address may have */
export function unixPath(text: string, forms: string): string {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
  if (path === '') throw new TypeError(`${JSON.stringify(text)} has no path: give ${forms}`);
  return path;
}

function withoutBrackets(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
