import type { CallContext } from '../call/context.js';
import { Metadata } from '../grpc/metadata.js';
import { bytesOf, isBinary } from './metadata-schema.js';
import type { MatchConfig } from './route-schema.js';

/** Whether calls are what a route's `match` asks for. */
export class RouteMatch {
  readonly #service: TextMatch;
  readonly #methods: readonly TextMatch[] | undefined;
  /** Undefined: any. */
  readonly #ofCall: readonly CallMatch[] | undefined;
  /** The methods that it names, as `service/method`; none of which only a part is given. */
  readonly exactMethods: readonly string[];

  constructor({ service = '*', method, authority, metadata = {} }: MatchConfig) {
    this.#service = new TextMatch(service);
    this.#methods = method?.map((name) => new TextMatch(name));
    const names = this.#methods?.flatMap(({ exact }) => exact ?? []) ?? [];
    const { exact } = this.#service;
    this.exactMethods = exact === undefined ? [] : names.map((name) => `${exact}/${name}`);
    const ofCall: CallMatch[] = Object.entries(metadata).map(([name, value]) => metadataMatch(name, value));
    if (authority !== undefined) ofCall.unshift(authorityMatch(authority));
    this.#ofCall = ofCall.length === 0 ? undefined : ofCall;
  }

  /** Whether it takes calls of a method at all. */
  takesMethod(service: string, method: string): boolean {
    if (!this.#service.takes(service)) return false;
    return this.#methods === undefined || this.#methods.some((name) => name.takes(method));
  }

  /** Whether it takes this call, of whose method it takes calls. */
  takesCall(ctx: CallContext): boolean {
    return this.#ofCall === undefined || this.#ofCall.every((takes) => takes(ctx));
  }
}

type CallMatch = (ctx: CallContext) => boolean;

/** A text, or a prefix of one with a `*` at its end. */
class TextMatch {
  /** Undefined: it is a prefix. */
  readonly exact: string | undefined;
  readonly #prefix: string;

  constructor(pattern: string) {
    this.exact = pattern.endsWith('*') ? undefined : pattern;
    this.#prefix = pattern.replace(/\*$/, '');
  }

  takes(text: string): boolean {
    return this.exact === undefined ? text.startsWith(this.#prefix) : text === this.exact;
  }
}

/** A host, in any case; with the port that is given, or any. */
function authorityMatch(authority: string): CallMatch {
  const wanted = authority.toLowerCase();
  const hasPort = withoutPort(wanted) !== wanted;
  return (ctx) => {
    const asked = ctx.authority?.toLowerCase();
    return asked !== undefined && (hasPort ? asked : withoutPort(asked)) === wanted;
  };
}

/** Colons inside of brackets are an IPv6 address's. */
function withoutPort(authority: string): string {
  return authority.replace(/:\d*$/, '');
}

function metadataMatch(name: string, value: string): CallMatch {
  const key = name.toLowerCase();
  if (isBinary(key)) return bytesMatch(key, bytesOf(value));
  const wanted = new TextMatch(value.trim());
  return (ctx) => {
    // The client's list, unless an interceptor has asked for the metadata, and may have changed it.
    const fields = ctx.hasOwnMetadata ? ctx.metadata.toHeaders() : ctx.headers;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === key && wanted.takes(fields[i + 1]!)) return true;
    }
    return false;
  };
}

function bytesMatch(key: string, wanted: Buffer): CallMatch {
  return (ctx) => {
    const fields = ctx.hasOwnMetadata ? ctx.metadata.toHeaders() : ctx.headers;
    try {
      const values = Metadata.fromHeaders(fields).getAll(key) as Buffer[];
      return values.some((value) => value.equals(wanted));
    } catch {
      // It is no base64.
      return false;
    }
  };
}
