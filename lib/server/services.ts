import { Code, StatusError } from '../grpc/status.js';
import { ownError, wrongType, wrongValue } from '../port/errors.js';
import type { StreamHandler } from './handler.js';
import { handlersIn } from './handlers.js';

const NAME_FORMS = 'named in full, as package.Service';

/** The handlers of a server, by the paths of calls. */
export class Services {
  readonly #services = new Map<string, ReadonlyMap<string, StreamHandler>>();
  readonly #unobserved = new Set<StreamHandler | StatusError>();
  readonly #unknownServiceHandler: StreamHandler | undefined;

  constructor(unknownServiceHandler: StreamHandler | undefined) {
    this.#unknownServiceHandler = unknownServiceHandler;
  }

  /**
   * @param isObserved whether observers hear of its calls
   * @throws Error if the service has been registered before; TypeError for a name or handlers that are none
   */
  register(service: string, handlers: object, isObserved = true): void {
    if (typeof service !== 'string') throw wrongType('a service', NAME_FORMS, service);
    // By another name no call would ever find it.
    if (!/^[^/](?:.*[^/])?$/.test(service)) throw wrongValue('a service', NAME_FORMS, service);
    if (this.#services.has(service)) {
      throw ownError(
        'ERR_SERVICE_REGISTERED',
        `service ${JSON.stringify(service)} is registered already: give all its methods at once`,
      );
    }
    const found = handlersIn(service, handlers);
    this.#services.set(service, found);
    if (!isObserved) for (const handler of found.values()) this.#unobserved.add(handler);
  }

  /** Whether a handler is of a service that is registered so. */
  isUnobserved(handler: StreamHandler | StatusError): boolean {
    return this.#unobserved.size > 0 && this.#unobserved.has(handler);
  }

  /** The handler of a path, or the status of a call that nobody handles. */
  handlerOf(path: string): StreamHandler | StatusError {
    const slash = lastSlash(path);
    if (path[0] !== '/' || slash <= 1 || slash === path.length - 1) {
      return new StatusError(Code.UNIMPLEMENTED, `malformed method name: ${JSON.stringify(path)}`);
    }
    if (this.#services.size === 0 && this.#unknownServiceHandler !== undefined) {
      return this.#unknownServiceHandler;
    }
    const service = path.slice(1, slash);
    const method = path.slice(slash + 1);
    const handlers = this.#services.get(service);
    const handler = handlers?.get(method) ?? this.#unknownServiceHandler;
    if (handler !== undefined) return handler;
    return new StatusError(
      Code.UNIMPLEMENTED,
      handlers === undefined
        ? `unknown service ${service}`
        : `unknown method ${method} for service ${service}`,
    );
  }
}

/** `lastIndexOf('/')`, without the call into V8's runtime that it takes. */
function lastSlash(path: string): number {
  let at = path.length - 1;
  while (at >= 0 && path.charCodeAt(at) !== SLASH) at--;
  return at;
}

const SLASH = 0x2f;
