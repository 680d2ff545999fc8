import net from 'node:net';
import { ownError, shown, wrongType, wrongValue } from './errors.js';
import { checkOptions, type OptionNames } from './options.js';

/** A TCP address. */
export interface TcpAddress {
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string;
  /** From 0 to 65535; 0 only to listen at a free one. */
  readonly port: number;
}

/** The path of a unix socket. */
export interface UnixAddress {
  /** Absolute, or relative to the working directory. */
  readonly path: string;
}

/** Where a server listens: a TCP port, or a unix socket. */
export type ListenAddress =
  | {
      /** A name or an IP address, IPv6 without brackets; default: every interface. */
      readonly host?: string | undefined;
      /** From 0 to 65535; 0: a free one. */
      readonly port: number;
    }
  | UnixAddress;

/** Where a backend is, or a server listens: a TCP address, or a unix socket. */
export type DialAddress = TcpAddress | UnixAddress;

/** What an address becomes once it is listened at: as much of it as its type says. */
export type AddressInUse<Given> = Given extends string
  ? Given extends `unix:${string}`
    ? UnixAddress
    : // A type of which no more is known than that it is text may be either.
      Given extends `${infer Host}:${string}`
      ? 'unix' extends Host
        ? DialAddress
        : TcpAddress
      : DialAddress
  : Given extends UnixAddress
    ? UnixAddress
    : TcpAddress;

const LISTEN_FORMS = 'HOST:PORT, :PORT or unix:/PATH';
const LISTEN_VALUES = `an address: ${LISTEN_FORMS}, a port, { host, port } or { path }`;

const ADDRESS_NAMES: OptionNames<TcpAddress & UnixAddress> = { host: true, port: true, path: true };

/**
 * An address to listen at; without a host it is every interface.
 *
 * @throws TypeError or RangeError that says what an address looks like
 */
export function listenAddressOf(given: string | number | ListenAddress): ListenAddress {
  if (typeof given === 'string') return parseListenAddress(given);
  if (typeof given === 'number') return { port: checkedPort(given, LISTEN_VALUES) };
  return checkedAddress(given, 'what is listened at', LISTEN_VALUES);
}

/**
 * An address that is given as an object.
 *
 * @param what it is, and @param forms what it may look like, for the error
 * @throws TypeError or RangeError for anything else
 */
export function checkedAddress(given: ListenAddress, what: string, forms: string): ListenAddress {
  if (typeof given !== 'object' || given === null) throw wrongType(what, forms, given);
  checkOptions<Partial<TcpAddress & UnixAddress>>(given, ADDRESS_NAMES, 'address');
  const { host, port, path }: { host?: unknown; port?: unknown; path?: unknown } = given;
  if (path !== undefined && (port ?? host) === undefined) {
    if (typeof path === 'string' && path !== '') return { path };
    throw ownError('ERR_INVALID_ARG_VALUE', `${shown(path)} is no path: give ${forms}`);
  }
  if (path !== undefined) throw ownError('ERR_INVALID_ARG_VALUE', `both a path and a port: give ${forms}`);
  if (typeof port !== 'number') throw wrongType("an address's port", 'a number', port);
  checkedPort(port, forms);
  if (host === undefined || host === '') return { port };
  if (typeof host !== 'string') throw wrongType("an address's host", 'a string', host);
  return { host, port };
}

/** @throws RangeError */
function checkedPort(port: number, forms: string): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw ownError('ERR_OUT_OF_RANGE', `${port} is no port: give ${forms}`);
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
  const problem = typeof authority === 'string' ? wrongValue : wrongType;
  throw problem(option, 'HOST or HOST:PORT', authority);
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
    throw noAddress(text, forms);
  }
  return { host: withoutBrackets(match[1]!), port };
}

/** @throws TypeError, with the forms that an address may have */
export function unixPath(text: string, forms: string): string {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
  if (path === '') throw ownError('ERR_INVALID_ARG_VALUE', `${shown(text)} has no path: give ${forms}`);
  return path;
}

/** @param forms what it may look like */
export function noAddress(text: string, forms: string): TypeError {
  return ownError('ERR_INVALID_ARG_VALUE', `${shown(text)} is no address: give ${forms}`);
}

function withoutBrackets(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
