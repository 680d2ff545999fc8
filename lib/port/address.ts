import net from 'node:net';

/** Where a server listens: TCP, or a unix socket. */
export type ListenAddress = { readonly host?: string; readonly port: number } | { readonly path: string };

/** Where a backend is: a TCP address, or a unix socket. */
export type DialAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** A backend's address as {@link parseTarget} reads it. */
export interface Target {
  readonly address: DialAddress;
  /** `https`: over TLS. */
  readonly scheme: 'http' | 'https';
  /** What `:authority` says by default. */
  readonly authority: string;
}

const TARGET_FORMS = 'http://HOST:PORT, https://HOST:PORT, unix:/PATH or HOST:PORT';
const LISTEN_FORMS = 'HOST:PORT, :PORT or unix:/PATH';

/**
 * Reads a backend's address: `http://` is HTTP/2 without TLS, as is a bare `HOST:PORT` or a unix socket.
 *
 * @throws TypeError that says what an address looks like
 */
export function parseTarget(text: string): Target {
  if (text.startsWith('unix:')) {
    return { address: { path: unixPath(text, TARGET_FORMS) }, scheme: 'http', authority: 'localhost' };
  }
  const url = URL.canParse(text) && text.includes('://') ? new URL(text) : undefined;
  if (url === undefined) {
    const { host, port } = hostAndPort(text, TARGET_FORMS);
    if (host === '') throw new TypeError(`${JSON.stringify(text)} names no host: give ${TARGET_FORMS}`);
    return { address: { host, port }, scheme: 'http', authority: text };
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'http' && scheme !== 'https') {
    throw new TypeError(`${JSON.stringify(text)} has an unknown scheme: give ${TARGET_FORMS}`);
  }
  if (url.username !== '' || url.search !== '' || url.hash !== '' || !['', '/'].includes(url.pathname)) {
    throw new TypeError(`${JSON.stringify(text)} has more than an address: give ${TARGET_FORMS}`);
  }
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return { address: { host: withoutBrackets(url.hostname), port }, scheme, authority: url.host };
}

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

function hostAndPort(text: string, forms: string): { host: string; port: number } {
  const match = /^(\[[^\]]+\]|[^:/\s]*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65535) {
    throw new TypeError(`${JSON.stringify(text)} is no address: give ${forms}`);
  }
  return { host: withoutBrackets(match[1]!), port };
}

function unixPath(text: string, forms: string): string {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
  if (path === '') throw new TypeError(`${JSON.stringify(text)} has no path: give ${forms}`);
  return path;
}

function withoutBrackets(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
