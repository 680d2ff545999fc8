import type { Test } from 'tap';
import type { CallOutcome } from '../../lib/index.js';
import {
  type RouteDirector,
  type RouteDirectorOptions,
  type RoutingInput,
  routeDirector,
} from '../../lib/routes/index.js';
import type { World } from '../support/behaviour.js';
import { type Http2Backend, type OnRequest, type Request, respond } from '../support/http2-backend.js';
import type { Http2Client } from '../support/http2-client.js';
import { MESSAGE } from '../support/unary.js';

export type BackendInput = NonNullable<RoutingInput['backends']>[string];
export type RouteInput = NonNullable<RoutingInput['routes']>[number];

export interface Routed {
  readonly director: RouteDirector;
  readonly client: Http2Client;
  /** How calls have ended. */
  readonly outcomes: CallOutcome[];
}

/** A client of a proxy that directs calls by a config. */
export async function routed(
  t: Test,
  world: World,
  config: RoutingInput,
  options?: RouteDirectorOptions,
): Promise<Routed> {
  const director = routeDirector({ transport: world.transports.client, ...config }, options);
  t.teardown(() => director.destroy());
  const outcomes: CallOutcome[] = [];
  const observer = { onCall: (outcome: CallOutcome) => outcomes.push(outcome) };
  const { port } = await world.proxy(director.director, { observer });
  return { director, client: world.http2Client(port), outcomes };
}

/** Backends that answer OK, or as they are told, by their names; and what each was asked. */
export async function backends<Name extends string>(
  world: World,
  ...names: readonly (Name | readonly [Name, OnRequest])[]
) {
  const config = {} as Record<Name, { target: string }>;
  const requests = {} as Record<Name, Request[]>;
  const servers = {} as Record<Name, Http2Backend>;
  for (const each of names) {
    const [name, answer] = typeof each === 'string' ? [each, answerOk] : each;
    const seen: Request[] = [];
    const server = await world.http2Backend((request) => {
      seen.push(request);
      answer(request);
    });
    requests[name] = seen;
    servers[name] = server;
    config[name] = { target: `127.0.0.1:${server.port}` };
  }
  return { config, requests, servers };
}

const answerOk: OnRequest = ({ stream }) => respond(stream, MESSAGE);
