import net from 'node:net';
import {
  checkedAddress,
  type DialAddress,
  formatAddress,
  hostAndPort,
  noAddress,
  unixPath,
} from './address.js';
import { ownError, shown, wrongType } from './errors.js';

/** Where a backend is, as an application says it: as text, as a URL, or as the address that a server listens at. */
export type DialTarget = string | URL | DialAddress;

/** One address of a backend. */
export interface BackendAddress {
  readonly address: DialAddress;
  /** What `:authority` says by default; undefined leaves it to the transport. */
  readonly authority: string | undefined;
  /** Whom a certificate must be for: a name, or an IP address. */
  readonly serverName: string;
}

/** A name that stands for addresses. */
export interface BackendName {
  readonly host: string;
  readonly port: number;
  /** The name server that is asked, `ADDRESS:PORT`; undefined: as the system does it. */
  readonly server: string | undefined;
}

/** Where a backend is, as {@link parseTarget} reads it. */
export interface Target {
  /** `https`: over TLS. */
  readonly scheme: 'http' | 'https';
  /** What `:authority` says by default. */
  readonly authority: string;
  /** Known addresses; or a name. */
  readonly at: readonly BackendAddress[] | BackendName;
}

/** "If not specified, 443 is used" (gRPC's naming.md, for `dns`, `ipv4` and `ipv6` alike). */
const NAMING_PORT = 443;

const DNS_PORT = 53;

/** What may stand in a name (RFC 3986 section 3.2.2): it goes to backends as their `:authority`. */
const NAME = /^[\w.~!$&'()*+,;=%-]+$/;

/** What is at a unix socket is on this machine. */
const UNIX_NAME = 'localhost';

const FORMS =
  'http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT or ipv6:[ADDRESS]:PORT';

/**
 * A target as text.
 *
 * @throws TypeError or RangeError that says what a target looks like
 */
export function targetText(target: DialTarget): string {
  if (typeof target === 'string') return target;
  // Its path is at least a slash, which says nothing.
  if (target instanceof URL) return target.href.replace(/\/$/, '');
  return formatAddress(
    checkedAddress(target, 'a target', `${FORMS}, as text, or a URL, { host, port } or { path }`),
  );
}

/**
 * Reads where a backend is: a URL, a name of gRPC's naming.md, or a bare `HOST:PORT`. All but `https://` is HTTP/2
 * without TLS.
 *
 * @throws TypeError that says what a target looks like
 */
export function parseTarget(text: string): Target {
  if (typeof text !== 'string') throw wrongType('a target', FORMS, text);
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case 'unix':
      return known([{ path: unixPath(text, FORMS) }], UNIX_NAME);
    case 'ipv4':
      return known(rest.split(',').map((part) => addressOf(part, text, net.isIPv4)));
    case 'ipv6':
      return known(rest.split(',').map((part) => addressOf(part, text, net.isIPv6)));
    case 'dns':
      // A host may be called so, and no name is a number.
      if (!/^\d+$/.test(rest)) return parseDns(text, rest);
  }
  return text.includes('://') ? parseUrl(text) : parseHostAndPort(text);
}

/** `dns:[//server[:port]/]host[:port]` */
function parseDns(text: string, rest: string): Target {
  const [, server, endpoint] = /^(?:\/\/([^/]*)\/)?(.*)$/.exec(rest)!;
  const { host, port } = checkedHostAndPort(endpoint!, text, NAMING_PORT);
  return named('http', host, port, endpoint!, server ? nameServer(server, text) : undefined);
}

function nameServer(server: string, text: string): string {
  const { host, port } = checkedHostAndPort(server, text, DNS_PORT);
  if (net.isIP(host) !== 0) return formatAddress({ host, port });
  throw invalid(text, ': the name server must be an IP address, with or without a port');
}

function parseUrl(text: string): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url?.protocol.slice(0, -1);
  if (url === undefined || (scheme !== 'http' && scheme !== 'https')) {
    const what = url === undefined ? 'is no address' : 'has an unknown scheme';
    throw invalid(text, ` ${what}: give ${FORMS}`);
  }
  if (
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== '' ||
    !['', '/'].includes(url.pathname)
  ) {
    throw invalid(text, ` has more than an address: give ${FORMS}`);
  }
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  if (port === 0) throw noAddress(text, FORMS);
  return named(scheme, url.hostname.replace(/^\[|\]$/g, ''), port, url.host);
}

function parseHostAndPort(text: string): Target {
  const { host, port } = checkedHostAndPort(text, text);
  return named('http', host, port, text);
}

/** @param text what it is a part of, for the error */
function checkedHostAndPort(
  part: string,
  text: string,
  defaultPort?: number,
): { host: string; port: number } {
  const { host, port } = hostAndPort(part, FORMS, defaultPort);
  if (host === '') throw invalid(text, ` names no host: give ${FORMS}`);
  const isHost = part.startsWith('[') ? net.isIPv6(host) : NAME.test(host);
  if (isHost && port > 0) return { host, port };
  throw noAddress(part, FORMS);
}

function named(
  scheme: 'http' | 'https',
  host: string,
  port: number,
  authority: string,
  server?: string,
): Target {
  if (net.isIP(host) === 0) return { scheme, authority, at: { host, port, server } };
  return { ...known([{ host, port }], authority), scheme };
}

function known(addresses: readonly DialAddress[], authority?: string): Target {
  const at = addresses.map((address) => ({
    address,
    authority: authority ?? formatAddress(address),
    serverName: 'host' in address ? address.host : UNIX_NAME,
  }));
  return { scheme: 'http', authority: authority ?? formatAddress(addresses[0]!), at };
}

function addressOf(part: string, text: string, isOfFamily: (host: string) => boolean): DialAddress {
  const { host, port } = checkedHostAndPort(part, text, NAMING_PORT);
  if (isOfFamily(host)) return { host, port };
  throw invalid(text, `: ${shown(part)} is no address of that family`);
}

function invalid(text: string, problem: string): TypeError {
  return ownError('ERR_INVALID_ARG_VALUE', `${shown(text)}${problem}`);
}
