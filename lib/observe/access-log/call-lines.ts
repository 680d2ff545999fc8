import type { Socket } from 'node:net';
import { now } from '../../call/clock.js';
import type { CallContext } from '../../call/context.js';
import type { RunningCall } from '../../call/observer.js';
import type { CallOutcome, DestinationOutcome, Failure, ShadowState } from '../../call/outcome.js';
import { Code, type StatusError } from '../../grpc/status.js';
import { identityOf } from './identity.js';
import { jsonText, TextCache } from './json-text.js';
import { traceIdOf } from './trace-id.js';
import { TimeText, threeDigits } from './wall-clock.js';

/**
 * The most that a line has. So much a pipe takes whole or not at all, whoever else writes to it: "Write requests of
 * {PIPE_BUF} bytes or less shall not be interleaved with data from other processes" (POSIX, write; 4096 on Linux).
 */
export const MAX_LINE_BYTES = 4096;

// How much of a text is shown, as it is escaped; together far below that.
const MAX_NAME_LENGTH = 200;
const MAX_TARGET_LENGTH = 400;
const MAX_IDENTITY_LENGTH = 400;
const MAX_ERROR_LENGTH = 1000;

/** What is left for behind the lists. */
const TAIL_BYTES = 64;

/** What lines tell of calls that run, and of calls that have ended. */
type Call = Pick<
  RunningCall & CallOutcome,
  | 'method'
  | 'context'
  | 'startedAt'
  | 'route'
  | 'headersMilliseconds'
  | 'messagesReceived'
  | 'messagesSent'
  | 'bytesReceived'
  | 'bytesSent'
  | 'destinations'
  | 'shadows'
>;

/**
 * Makes the lines of the log. By hand, with what is the same for many calls kept as text: an object and JSON.stringify took
 * more than twice as long (`npm run bench:micro -- access`).
 */
export class CallLines {
  readonly #time = new TimeText();
  readonly #deadline = new TimeText();
  readonly #methods = new TextCache(methodFields);
  readonly #routes = new TextCache((route) => `,"route":"${jsonText(route, MAX_NAME_LENGTH)}"`);
  readonly #targets = new TextCache((target) => jsonText(target, MAX_TARGET_LENGTH));
  readonly #peers = new WeakMap<Socket, string>();

  /** Of a call that has ended. */
  ended(outcome: CallOutcome): string {
    const { failure, startedAt, durationMilliseconds } = outcome;
    const time = startedAt + durationMilliseconds;
    if (failure === undefined) return this.#line(outcome, time, OK, '', '}\n');
    const { error, reason } = failure;
    const status = `,"grpc.code":"${codeOf(error)}","grpc.error":"${jsonText(messageOf(error), MAX_ERROR_LENGTH)}"`;
    return this.#line(outcome, time, status, `,"reason":"${reason}"`, '}\n');
  }

  /** Of a call that runs. */
  running(call: RunningCall): string {
    return this.#line(call, now(), '', '', ',"running":true}\n');
  }

  /** @param time by the clock of calls */
  #line(call: Call, time: number, status: string, reason: string, tail: string): string {
    // The clock of calls is never set, and so goes wrong over the months.
    const wallTime = Date.now();
    const { context, destinations, shadows } = call;
    const line =
      `{"time":"${this.#time.of(wallTime)}"${this.#methods.of(call.method)}${status}` +
      `,"grpc.time_ms":${milliseconds(time - call.startedAt)}${this.#deadlineField(context, wallTime - time)}` +
      `${this.#peerFields(context)}${call.route === undefined ? '' : this.#routes.of(call.route)}` +
      `${this.#primaryFields(destinations)}${reason}` +
      `,"messages_received":${call.messagesReceived},"messages_sent":${call.messagesSent}` +
      `,"bytes_received":${call.bytesReceived},"bytes_sent":${call.bytesSent}` +
      `${firstByteField(call.headersMilliseconds)}${traceField(context)}`;
    if (destinations.length <= 1 && shadows.length === 0) return line + tail;
    return this.#withOthers(line, destinations, shadows) + tail;
  }

  /** @param offset of the wall clock to that of calls */
  #deadlineField({ deadline }: CallContext, offset: number): string {
    if (deadline === undefined || !Number.isFinite(deadline)) return '';
    return `,"grpc.request.deadline":"${this.#deadline.of(deadline + offset)}"`;
  }

  /** The same for all calls of a connection. */
  #peerFields(context: CallContext): string {
    const { socket } = context;
    let fields = this.#peers.get(socket);
    if (fields === undefined) {
      const certificate = context.peerCertificate;
      fields = `,"peer.address":"${jsonText(context.peer, MAX_NAME_LENGTH)}"`;
      if (certificate !== undefined) {
        fields += `,"peer.identity":"${jsonText(identityOf(certificate), MAX_IDENTITY_LENGTH)}"`;
      }
      this.#peers.set(socket, fields);
    }
    return fields;
  }

  #primaryFields([primary]: readonly DestinationOutcome[]): string {
    if (primary === undefined) return '';
    return `,"primary":"${this.#targets.of(primary.target)}","attempts":${primary.attempts}`;
  }

  #withOthers(
    line: string,
    destinations: readonly DestinationOutcome[],
    shadows: readonly ShadowState[],
  ): string {
    let text = line;
    if (destinations.length > 1) {
      const entries = destinations.slice(1).map((one) => `${this.#target(one)}${endOf(one)}}`);
      text += listOf('secondaries', entries, text.length);
    }
    if (shadows.length > 0) {
      const entries = shadows.map(
        (one) => `${this.#target(one)},"result":"${one.result}"${endOfShadow(one)}}`,
      );
      text += listOf('shadows', entries, text.length);
    }
    return text;
  }

  #target({ target }: DestinationOutcome): string {
    return `{"target":"${this.#targets.of(target)}"`;
  }
}

const OK = ',"grpc.code":"OK"';

function methodFields(path: string): string {
  const slash = path.lastIndexOf('/');
  const service = path.slice(1, Math.max(1, slash));
  const method = path.slice(slash + 1);
  return `,"grpc.service":"${jsonText(service, MAX_NAME_LENGTH)}","grpc.method":"${jsonText(method, MAX_NAME_LENGTH)}"`;
}

function firstByteField(time: number | undefined): string {
  return time === undefined ? '' : `,"first_byte_ms":${milliseconds(time)}`;
}

function traceField({ headers }: CallContext): string {
  const id = traceIdOf(headers);
  return id === undefined ? '' : `,"trace_id":"${id}"`;
}

function endOf({ failure, isRunning }: DestinationOutcome): string {
  return isRunning ? ',"running":true' : codeAndReason(failure);
}

/** Of one that was dropped here its result says so; the status is what its error handler was told. */
function endOfShadow({ failure, result }: ShadowState): string {
  return result === 'running' ? '' : codeAndReason(failure);
}

function codeAndReason(failure: Failure | undefined): string {
  if (failure === undefined) return ',"code":"OK"';
  return `,"code":"${codeOf(failure.error)}","reason":"${failure.reason}"`;
}

/** As many as fit into a line that is so long already. */
function listOf(name: string, entries: readonly string[], length: number): string {
  let list = '';
  let room = MAX_LINE_BYTES - TAIL_BYTES - length;
  for (const entry of entries) {
    room -= entry.length + 1;
    if (room < 0) break;
    list += list === '' ? entry : `,${entry}`;
  }
  return `,"${name}":[${list}]`;
}

/** With three digits behind the point. */
function milliseconds(time: number): string {
  const microseconds = Math.max(0, Math.round(time * 1000));
  const whole = Math.floor(microseconds / 1000);
  return `${whole}.${threeDigits(microseconds - whole * 1000)}`;
}

/** The application may have put anything in the place of an error's code and message. */
function codeOf({ code }: StatusError): string {
  return Code[code] ?? 'UNKNOWN';
}

function messageOf({ message }: StatusError): string {
  return typeof message === 'string' ? message : '';
}
