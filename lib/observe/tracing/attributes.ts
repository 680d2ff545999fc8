import type { Attributes } from '@opentelemetry/api';
import type { CallContext } from '../../call/context.js';
import { parseTarget } from '../../port/target.js';

// OpenTelemetry's semantic conventions 1.45 for RPC.

/** The most that is told of what clients send. */
export const MAX_TEXT_LENGTH = 200;

/** "When the method is not recognized … the attribute MUST be set to `_OTHER`." */
export const OTHER_METHOD = '_OTHER';

/** A method as traces name it. */
export interface MethodName {
  /** `package.Service/Method`, which is the name of spans, too; {@link OTHER_METHOD} for what is no such thing. */
  readonly name: string;
  /** As the client sent it, but for the slash in front, and bounded. */
  readonly original: string;
}

export function methodNameOf(path: string): MethodName {
  const name = path.startsWith('/') ? path.slice(1, MAX_TEXT_LENGTH + 2) : path.slice(0, MAX_TEXT_LENGTH + 1);
  const original = name.slice(0, MAX_TEXT_LENGTH);
  const slash = name.lastIndexOf('/');
  const isName = slash > 0 && slash < name.length - 1 && name.length === original.length && path[0] === '/';
  return { name: isName ? name : OTHER_METHOD, original };
}

export function methodAttributes({ name, original }: MethodName): Attributes {
  const attributes: Attributes = { 'rpc.system.name': 'grpc', 'rpc.method': name };
  if (name !== original) attributes['rpc.method_original'] = original;
  return attributes;
}

/** Who calls, and whom, as a SERVER span has it. */
export function callAttributes({ authority, socket }: CallContext): Attributes {
  const { remoteAddress, remotePort } = socket;
  return {
    ...(authority !== undefined && serverAttributes(authority)),
    ...(remoteAddress !== undefined && {
      'client.address': remoteAddress,
      'client.port': remotePort,
      'network.peer.address': remoteAddress,
      'network.peer.port': remotePort,
    }),
  };
}

const AUTHORITY = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/;

function serverAttributes(authority: string): Attributes {
  const text = authority.slice(0, MAX_TEXT_LENGTH);
  const match = AUTHORITY.exec(text);
  if (match === null) return { 'server.address': text };
  const [, bracketed, plain, port] = match;
  return {
    'server.address': bracketed ?? plain!,
    ...(port !== undefined && { 'server.port': Number(port) }),
  };
}

/** Targets are configured, but an application may dial ever new ones. */
const MAX_TARGETS = 1000;
const targets = new Map<string, Attributes>();

/** Where a destination is, as a CLIENT span has it. */
export function targetAttributes(target: string): Attributes {
  let attributes = targets.get(target);
  if (attributes === undefined) {
    if (targets.size >= MAX_TARGETS) targets.clear();
    attributes = addressOf(target);
    targets.set(target, attributes);
  }
  return attributes;
}

function addressOf(target: string): Attributes {
  try {
    const { at } = parseTarget(target);
    if ('host' in at) return { 'server.address': at.host, 'server.port': at.port };
    const [first, second] = at;
    if (first !== undefined && second === undefined) {
      const { address } = first;
      return 'path' in address
        ? { 'server.address': address.path }
        : { 'server.address': address.host, 'server.port': address.port };
    }
  } catch {
    // Several targets, or a session that somebody else has connected.
  }
  return { 'server.address': target };
}
