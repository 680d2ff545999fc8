import { now } from '../call/clock.js';
import type { CallContext } from '../call/context.js';
import type { CallOptions } from '../client/call-options.js';
import type { ClientConn } from '../client/client-conn.js';
import { Metadata } from '../grpc/metadata.js';
import { compareResponses } from '../proxy/compare/compare-responses.js';
import type { CompareOptions } from '../proxy/compare/settings.js';
import type { Destination, ShadowDestination, StreamParameters } from '../proxy/director.js';
import { MetadataEdit } from './metadata-edit.js';
import type { RouteConfig } from './route-schema.js';

/** What routes are made with. */
export interface RouteTools {
  readonly conns: ReadonlyMap<string, ClientConn>;
  /** A number from 0 to below 1. */
  readonly random: () => number;
  /** Undefined: nothing is compared. */
  readonly compare: CompareOptions | undefined;
  /** Compares the answers of all secondaries and shadows, whatever the routes say. */
  readonly comparesAll: boolean;
}

/** Makes the parameters of a route's calls: once for all, but for what depends on the call. */
export class RouteParameters {
  readonly #choices: readonly StreamParameters[];
  /** Up to which of the sum each choice goes. */
  readonly #bounds: readonly number[];
  readonly #random: () => number;
  readonly #timeoutMilliseconds: number | undefined;
  readonly #edit: MetadataEdit | undefined;
  /** Of the shadows, in their order. */
  readonly #shadowEdits: readonly (MetadataEdit | undefined)[];
  /** Each call gets parameters of its own. */
  readonly #isPerCall: boolean;

  /** @param route one that has a primary */
  constructor(route: RouteConfig, name: string, tools: RouteTools) {
    const choices = route.primary ?? [];
    let sum = 0;
    this.#bounds = choices.map(({ weight }) => {
      sum += weight;
      return sum;
    });
    this.#choices = choices.map(({ backend }) => parametersOf(route, backend, name, tools));
    this.#random = tools.random;
    this.#timeoutMilliseconds = route.timeout?.milliseconds;
    this.#edit = MetadataEdit.of(route.requestMetadata);
    this.#shadowEdits = (route.shadows ?? []).map(({ metadata }) => MetadataEdit.of(metadata));
    const edits = [this.#edit, ...this.#shadowEdits].some((edit) => edit !== undefined);
    this.#isPerCall = edits || this.#timeoutMilliseconds !== undefined;
  }

  of(ctx: CallContext): StreamParameters {
    const parameters = this.#choices.length === 1 ? this.#choices[0]! : this.#draw();
    return this.#isPerCall ? this.#forCall(parameters, ctx) : parameters;
  }

  #draw(): StreamParameters {
    const drawn = this.#random() * this.#bounds.at(-1)!;
    const index = this.#bounds.findIndex((bound) => drawn < bound);
    return this.#choices.at(index)!;
  }

  #forCall(parameters: StreamParameters, ctx: CallContext): StreamParameters {
    const timeout = this.#timeoutMilliseconds;
    const callOptions: CallOptions | undefined =
      timeout === undefined
        ? parameters.callOptions
        : { ...parameters.callOptions, deadline: now() + timeout };
    const { primary, shadows } = parameters;
    const secondaries = parameters.secondaries as readonly Destination[] | undefined;
    const edit = this.#edit;
    const edited = edit === undefined ? undefined : withEdits(ctx, edit);
    return {
      ...parameters,
      callOptions,
      primary: edited === undefined ? primary : { ...primary, ctx: edited },
      secondaries:
        edited === undefined ? secondaries : secondaries?.map((secondary) => ({ ...secondary, ctx: edited })),
      shadows: shadows?.map((shadow, index) => {
        const own = this.#shadowEdits[index];
        if (own === undefined) return edited === undefined ? shadow : { ...shadow, ctx: edited };
        return { ...shadow, ctx: withEdits(ctx, edit, own) };
      }),
    };
  }
}

/** The call with metadata that is edited. */
function withEdits(ctx: CallContext, ...edits: readonly (MetadataEdit | undefined)[]): CallContext {
  // The client's own is made of the header list only where somebody has asked for it.
  const metadata = ctx.hasOwnMetadata ? ctx.metadata.clone() : Metadata.fromHeaders(ctx.headers);
  for (const edit of edits) edit?.apply(metadata);
  return ctx.withMetadata(metadata);
}

const IGNORED = (): null => null;

/** What does not depend on the call. */
function parametersOf(
  { secondaries, shadows, waitForReady, responseMetadata }: RouteConfig,
  primary: string,
  route: string,
  tools: RouteTools,
): StreamParameters {
  const { conns } = tools;
  const connOf = (backend: string): ClientConn => conns.get(backend)!;
  const responseEdit = MetadataEdit.of(responseMetadata);
  const parameters: StreamParameters = {
    primary: { conn: connOf(primary) },
    secondaries: secondaries?.map(({ backend, onError }) => ({
      conn: connOf(backend),
      errHandler: onError === 'ignore' ? IGNORED : undefined,
    })),
    shadows: shadows?.map(({ backend, percent, maxLag }) => ({
      conn: connOf(backend),
      percent,
      maxLagBytes: maxLag?.bytes,
    })),
    callOptions: waitForReady === undefined ? undefined : { waitForReady },
    route,
    editResponseHeaders: responseEdit && ((metadata) => responseEdit.apply(metadata)),
  };
  if (tools.compare === undefined) return parameters;
  if (tools.comparesAll) return compareResponses(parameters, tools.compare);
  return compared(parameters, shadows?.map(({ compare }) => compare) ?? [], tools.compare);
}

/** Compares the answers of some of the shadows with the primary's, and of nobody else. */
function compared(
  parameters: StreamParameters,
  areCompared: readonly boolean[],
  options: CompareOptions,
): StreamParameters {
  const { primary, shadows = [] } = parameters;
  const chosen = shadows.filter((_, index) => areCompared[index]);
  if (chosen.length === 0) return parameters;
  const watched = compareResponses({ primary, shadows: chosen }, options);
  const rest: ShadowDestination[] = [...watched.shadows!];
  return {
    ...parameters,
    primary: watched.primary,
    shadows: shadows.map((shadow, index) => (areCompared[index] ? rest.shift()! : shadow)),
  };
}
