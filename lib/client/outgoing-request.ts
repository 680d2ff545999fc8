import { checkedTime, earlierDeadline } from '../call/deadline.js';
import type { Metadata } from '../grpc/metadata.js';
import { checkedAuthority } from '../port/address.js';
import type { HeaderList } from '../port/headers.js';
import type { CallOptions } from './call-options.js';
import type { CallRoute } from './call-route.js';
import type { Retries } from './retries.js';

/** What a request carries: a `CallContext`, or what a call has that nobody sent here. */
export interface RequestContext {
  /** `/service/method`. */
  readonly method: string;
  /** The fields that go with the request, but for those that belong to the connection it came on. */
  readonly headers: HeaderList;
  /** Whether {@link metadata} takes the place of the metadata among {@link headers}. */
  readonly hasOwnMetadata: boolean;
  readonly metadata: Metadata;
  /** The authority that was asked for. */
  readonly authority: string | undefined;
  /** When the call must have ended, as milliseconds since the epoch; undefined: never. */
  readonly deadline: number | undefined;
  /** What cancels it. */
  readonly ownSignals: readonly AbortSignal[];
}

/** What a `ClientCall` is to do. */
export interface OutgoingRequest {
  readonly context: RequestContext;
  readonly options: Omit<CallOptions, 'credentials' | 'retry'>;
  /** Metadata that is added, asked for once; what it throws fails the call. */
  readonly credentials: (() => Metadata | Promise<Metadata>) | undefined;
  /** Whether the receiver sees to the context's deadline and cancellation. */
  readonly inheritsEnd: boolean;
  /** Whether a call that a backend has failed is tried again; undefined: never, unless no backend has seen it. */
  readonly retries: Retries | undefined;
}

/** @throws TypeError for an `authority` that cannot be sent: the connection, which is others' too, could break by it */
export function authorityOf(
  { options, context }: OutgoingRequest,
  { preservesAuthority }: CallRoute,
): string | undefined {
  const { authority, preserveAuthority } = options;
  if (authority !== undefined) return checkedAuthority('callOptions.authority', authority);
  return preserveAuthority === true || preservesAuthority ? context.authority : undefined;
}

/**
 * The earlier of the context's deadline and the options'.
 *
 * @throws TypeError for what is no time
 */
export function deadlineOf({ options, context }: OutgoingRequest): number | undefined {
  const given = options.deadline;
  if (given === undefined) return context.deadline;
  return earlierDeadline(context.deadline, checkedTime('callOptions.deadline', given));
}
