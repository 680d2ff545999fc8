import { CallContext, notAContext } from '../call/context.js';
import type { CallOptions } from '../client/call-options.js';
import type { OutgoingRequest } from '../client/outgoing-request.js';
import type { Retries } from '../client/retries.js';
import { wrongType } from '../port/errors.js';
import type { ServerCall } from '../server/server-call.js';
import type { Destination } from './director.js';
import { FirstMessageReplacement } from './first-message.js';
import { Observation } from './observation.js';

// What the application gives of a destination, checked: it may be anything.

/** @throws TypeError for what has no properties at all */
export function checkDestination(destination: Destination): void {
  if (typeof destination === 'object' && destination !== null) return;
  throw wrongType('a destination', 'an object with a conn', destination);
}

/** @throws TypeError for what is no context */
export function contextOf(ctx: Destination['ctx'], stream: ServerCall): CallContext {
  const context = ctx ?? stream.context;
  if (!CallContext.is(context)) throw notAContext("a destination's ctx", context);
  return context;
}

/** @throws TypeError for what is no message; StatusError for one that is too long */
export function replacementOf(
  msg: Destination['msg'],
  { maxSendMessageBytes }: CallOptions,
): FirstMessageReplacement | undefined {
  return msg === undefined ? undefined : new FirstMessageReplacement(msg, maxSendMessageBytes);
}

/** What the call to the destination is to do. @param retries undefined: it is tried again only where nobody has seen it */
export function requestOf(
  context: CallContext,
  options: CallOptions,
  stream: ServerCall,
  retries: Retries | undefined,
): OutgoingRequest {
  const { credentials } = options;
  return {
    context,
    options,
    credentials: credentials === undefined ? undefined : () => credentials(context),
    inheritsEnd: stream.endsWith(context),
    retries,
  };
}

/** Keeps the scope of the call if anybody looks on. */
export function observationOf(
  observer: Destination['observer'],
  callOptions: CallOptions,
  stream: ServerCall,
  target: string,
  role: string,
): Observation | undefined {
  const { onHeaders, onTrailers, onFinish } = callOptions;
  if (observer === undefined && (onHeaders ?? onTrailers ?? onFinish) === undefined) return undefined;
  stream.captureScope();
  return new Observation(observer, callOptions, {
    call: stream,
    method: stream.method,
    target,
    role,
    inScope: (hook) => stream.inScope(hook),
  });
}
