import type { CallContext } from '../call/context.js';
import { Code } from '../grpc/status.js';
import type { StreamParameters } from '../proxy/director.js';
import { Refusal } from '../proxy/refusal.js';
import { RouteMatch } from './route-match.js';
import { RouteParameters, type RouteTools } from './route-parameters.js';
import type { RouteConfig } from './route-schema.js';

/** Clients choose the names of methods: so many are remembered, if they are no longer than names are. */
const MAX_KNOWN_METHODS = 1000;
const MAX_KNOWN_CHARACTERS = 256;

/** The routes of a config, ready for calls. */
export class RouteTable {
  /** Their names, in their order. */
  readonly names: readonly string[];
  /** The methods that they name, as `service/method`, each once. */
  readonly methods: readonly string[];
  readonly #routes: readonly Route[];
  /** The routes that take calls of a method, by `/service/method`. */
  #known = new Map<string, readonly Route[]>();

  constructor(routes: readonly RouteConfig[], tools: RouteTools) {
    this.#routes = routes.map((route, index) => new Route(route, route.name ?? String(index + 1), tools));
    this.names = this.#routes.map(({ name }) => name);
    this.methods = RouteTable.methodsOf(routes);
  }

  /** What {@link methods} are of these. */
  static methodsOf(routes: readonly RouteConfig[]): string[] {
    return [...new Set(routes.flatMap(({ match }) => new RouteMatch(match).exactMethods))];
  }

  /** @internal How many methods are remembered. */
  get knownMethods(): number {
    return this.#known.size;
  }

  /** Where a call goes. @throws Refusal */
  direct(ctx: CallContext, fullMethodName: string): StreamParameters {
    const routes = this.#known.get(fullMethodName) ?? this.#routesFor(fullMethodName);
    for (const route of routes) {
      if (route.match.takesCall(ctx)) return route.parametersOf(ctx);
    }
    const message = `unknown service ${serviceOf(fullMethodName)}`;
    throw Refusal.by(Code.UNIMPLEMENTED, message, 'no_route');
  }

  #routesFor(fullMethodName: string): readonly Route[] {
    const service = serviceOf(fullMethodName);
    const method = fullMethodName.slice(fullMethodName.lastIndexOf('/') + 1);
    const found = this.#routes.filter(({ match }) => match.takesMethod(service, method));
    if (fullMethodName.length > MAX_KNOWN_CHARACTERS) return found;
    // A new map, not an emptied one: V8 keeps what was in that for long.
    if (this.#known.size >= MAX_KNOWN_METHODS) this.#known = new Map();
    this.#known.set(fullMethodName, found);
    return found;
  }
}

class Route {
  readonly name: string;
  readonly match: RouteMatch;
  readonly #parameters: RouteParameters | undefined;
  readonly #reject: RouteConfig['reject'];

  constructor(config: RouteConfig, name: string, tools: RouteTools) {
    this.name = name;
    this.match = new RouteMatch(config.match);
    this.#reject = config.reject;
    this.#parameters = config.reject === undefined ? new RouteParameters(config, name, tools) : undefined;
  }

  /** @throws Refusal if the route rejects calls */
  parametersOf(ctx: CallContext): StreamParameters {
    if (this.#parameters !== undefined) return this.#parameters.of(ctx);
    const { code, message } = this.#reject!;
    throw Refusal.by(Code[code], message, 'rejected', this.name);
  }
}

/** "package.Service" of `/package.Service/Method`. */
function serviceOf(fullMethodName: string): string {
  return fullMethodName.slice(1, Math.max(1, fullMethodName.lastIndexOf('/')));
}
