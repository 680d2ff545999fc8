import { now } from '../call/clock.js';
import { checkedTime, earlierDeadline } from '../call/deadline.js';
import { checkedMethod } from '../call/method.js';
import { SUPPORTED_ENCODINGS } from '../grpc/compression.js';
import { Metadata } from '../grpc/metadata.js';
import { checkedAuthority } from '../port/address.js';
import { outOfRange, wrongType } from '../port/errors.js';
import { appendHeaders, type HeaderList } from '../port/headers.js';
import { checkedBytes, checkedFlag, checkOptions, checkSignal, type OptionNames } from '../port/options.js';
import type { ClientStreamOptions } from './client-stream.js';
import { CLIENT_DEFAULTS } from './defaults.js';
import type { OutgoingRequest } from './outgoing-request.js';
import { Retries } from './retries.js';
import type { RetryThrottle } from './retry-throttle.js';

/** A request of this process's own. */
export interface OwnRequest extends OutgoingRequest {
  readonly options: OutgoingRequest['options'] & { readonly maxReceiveMessageBytes: number };
}

/** A product without a version (RFC 9110 section 10.1.5): which one it is is nothing to backends. */
const USER_AGENT = 'grpc-frame-proxy';

const CALL_OPTIONS: OptionNames<ClientStreamOptions> = {
  metadata: true,
  deadline: true,
  timeoutMilliseconds: true,
  signal: true,
  waitForReady: true,
  authority: true,
  maxReceiveMessageBytes: true,
  retry: true,
};

/** @throws TypeError or RangeError, which names it, for a method or an option that makes no sense */
export function ownRequest(
  method: string,
  options: ClientStreamOptions,
  throttle: RetryThrottle,
): OwnRequest {
  checkOptions(options, CALL_OPTIONS);
  const { metadata, signal, authority, waitForReady, maxReceiveMessageBytes, retry } = options;
  checkSignal('options.signal', signal);
  const own = metadata === undefined ? new Metadata() : Metadata.of(metadata);
  return {
    context: {
      method: checkedMethod(method),
      headers: headersOf(own),
      hasOwnMetadata: false,
      metadata: own,
      authority: undefined,
      deadline: deadlineOf(options),
      ownSignals: signal === undefined ? [] : [signal],
    },
    options: {
      maxReceiveMessageBytes: checkedBytes(
        'options.maxReceiveMessageBytes',
        maxReceiveMessageBytes,
        CLIENT_DEFAULTS.maxReceiveMessageBytes,
      ),
      waitForReady: checkedFlag('options.waitForReady', waitForReady, false),
      authority: authority === undefined ? undefined : checkedAuthority('options.authority', authority),
    },
    credentials: undefined,
    inheritsEnd: false,
    retries: Retries.by(retry, throttle, 'options.retry'),
  };
}

function headersOf(metadata: Metadata): HeaderList {
  const headers: HeaderList = ['content-type', 'application/grpc'];
  if (!metadata.has('user-agent')) headers.push('user-agent', USER_AGENT);
  headers.push('grpc-accept-encoding', SUPPORTED_ENCODINGS);
  return appendHeaders(headers, metadata.toHeaders());
}

function deadlineOf({ deadline, timeoutMilliseconds }: ClientStreamOptions): number | undefined {
  const time = deadline === undefined ? undefined : checkedTime('options.deadline', deadline);
  if (timeoutMilliseconds === undefined) return finite(time);
  if (typeof timeoutMilliseconds !== 'number') {
    throw wrongType('options.timeoutMilliseconds', 'a number', timeoutMilliseconds);
  }
  if (Number.isNaN(timeoutMilliseconds)) {
    throw outOfRange('options.timeoutMilliseconds', 'a number', timeoutMilliseconds);
  }
  return finite(earlierDeadline(time, now() + timeoutMilliseconds));
}

function finite(deadline: number | undefined): number | undefined {
  return deadline === Infinity ? undefined : deadline;
}
