import type { Socket } from 'node:net';
import { now } from '../../call/clock.js';
import type { CallContext } from '../../call/context.js';
import type { RunningCall } from '../../call/observer.js';
import type { CallOutcome, DestinationOutcome, Failure, ShadowState } from '../../call/outcome.js';
import { Code, type StatusError } from '../../grpc/status.js';
import { identityOf } from './identity.js';
import { jsonText, TextCache } from './json-text.js';
import { bytesOf, type LineBytes, MAX_LINE_BYTES } from './line-bytes.js';
import { traceIdOf } from './trace-id.js';
import { TimeText, WallClock } from './wall-clock.js';

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

/** Writes the lines of the log; what is the same for many calls it keeps as bytes. */
export class CallLines {
  readonly #clock = new WallClock();
  readonly #time = new TimeText('{"time":"');
  readonly #deadline = new TimeText(',"grpc.request.deadline":"');
  readonly #methods = new TextCache(methodFields);
  readonly #routes = new TextCache((route) => bytesOf(`,"route":"${jsonText(route, MAX_NAME_LENGTH)}"`));
  readonly #primaries = new TextCache(primaryFields);
  readonly #targets = new TextCache((target) => jsonText(target, MAX_TARGET_LENGTH));
  readonly #peers = new WeakMap<Socket, Uint8Array>();

  /** Of a call that has ended. */
  ended(outcome: CallOutcome, line: LineBytes): void {
    const { failure, startedAt, durationMilliseconds } = outcome;
    const time = startedAt + durationMilliseconds;
    const wallTime = this.#clock.of(time);
    this.#time.write(wallTime, line);
    const method = this.#methods.of(outcome.method);
    if (failure === undefined) {
      line.put(method.ok);
    } else {
      line.put(method.name);
      line.text(statusFields(failure.error));
      line.put(CALL_TIME);
    }
    line.milliseconds(durationMilliseconds);
    this.#writeEnds(line, outcome, wallTime - time);
    if (failure === undefined) {
      this.#writeTraffic(line, outcome);
    } else {
      this.#writeAttempts(line, outcome);
      line.text(`,"reason":"${failure.reason}"`);
      writeMessages(line, outcome);
    }
    this.#writeRest(line, outcome);
    line.put(END);
  }

  /** Of a call that runs. */
  running(call: RunningCall, line: LineBytes): void {
    const time = now();
    const wallTime = this.#clock.of(time);
    this.#time.write(wallTime, line);
    line.put(this.#methods.of(call.method).name);
    line.put(CALL_TIME);
    line.milliseconds(time - call.startedAt);
    this.#writeEnds(line, call, wallTime - time);
    this.#writeTraffic(line, call);
    this.#writeRest(line, call);
    line.put(RUNNING_END);
  }

  /** By when, from where and which way. @param offset of the wall clock to that of calls */
  #writeEnds(line: LineBytes, { context, route }: Call, offset: number): void {
    const { deadline } = context;
    if (deadline !== undefined && Number.isFinite(deadline)) {
      this.#deadline.write(deadline + offset, line);
      line.put(TEXT_END);
    }
    line.put(this.#peerFields(context));
    if (route !== undefined) line.put(this.#routes.of(route));
  }

  #writeTraffic(line: LineBytes, call: Call): void {
    const primary = call.destinations[0];
    // As most calls are.
    if (primary?.attempts === 1 && call.messagesReceived === 1 && call.messagesSent === 1) {
      line.put(this.#primaries.of(primary.target).unary);
      writeBytes(line, call);
    } else {
      this.#writeAttempts(line, call);
      writeMessages(line, call);
    }
  }

  #writeAttempts(line: LineBytes, { destinations }: Call): void {
    const primary = destinations[0];
    if (primary === undefined) return;
    line.put(this.#primaries.of(primary.target).name);
    line.count(primary.attempts);
  }

  #writeRest(line: LineBytes, call: Call): void {
    const { context, headersMilliseconds, destinations, shadows } = call;
    if (headersMilliseconds !== undefined) {
      line.put(FIRST_BYTE);
      line.milliseconds(headersMilliseconds);
    }
    const trace = traceIdOf(context.headers);
    if (trace !== undefined) {
      line.put(TRACE_ID);
      line.text(trace);
      line.put(TEXT_END);
    }
    if (destinations.length > 1 || shadows.length > 0) this.#writeOthers(line, destinations, shadows);
  }

  /** The same for all calls of a connection. */
  #peerFields(context: CallContext): Uint8Array {
    const { socket } = context;
    const known = this.#peers.get(socket);
    if (known !== undefined) return known;
    const certificate = context.peerCertificate;
    let text = `,"peer.address":"${jsonText(context.peer, MAX_NAME_LENGTH)}"`;
    if (certificate !== undefined) {
      text += `,"peer.identity":"${jsonText(identityOf(certificate), MAX_IDENTITY_LENGTH)}"`;
    }
    const fields = bytesOf(text);
    this.#peers.set(socket, fields);
    return fields;
  }

  #writeOthers(
    line: LineBytes,
    destinations: readonly DestinationOutcome[],
    shadows: readonly ShadowState[],
  ): void {
    if (destinations.length > 1) {
      const entries = destinations.slice(1).map((one) => `${this.#target(one)}${endOf(one)}}`);
      line.text(listOf('secondaries', entries, line.at - line.start));
    }
    if (shadows.length > 0) {
      const entries = shadows.map(
        (one) => `${this.#target(one)},"result":"${one.result}"${endOfShadow(one)}}`,
      );
      line.text(listOf('shadows', entries, line.at - line.start));
    }
  }

  #target({ target }: DestinationOutcome): string {
    return `{"target":"${this.#targets.of(target)}"`;
  }
}

const TEXT_END = bytesOf('"');
const OK = ',"grpc.code":"OK"';
const CALL_TIME_NAME = ',"grpc.time_ms":';
const CALL_TIME = bytesOf(CALL_TIME_NAME);
const MESSAGES_RECEIVED = bytesOf(',"messages_received":');
const MESSAGES_SENT = bytesOf(',"messages_sent":');
const BYTES_RECEIVED_NAME = ',"bytes_received":';
const BYTES_RECEIVED = bytesOf(BYTES_RECEIVED_NAME);
const BYTES_SENT = bytesOf(',"bytes_sent":');
const FIRST_BYTE = bytesOf(',"first_byte_ms":');
const TRACE_ID = bytesOf(',"trace_id":"');
const END = bytesOf('}\n');
const RUNNING_END = bytesOf(',"running":true}\n');

/** What stands behind the time: the method's `name`; of a call that ended OK all before its time. */
function methodFields(path: string): { readonly name: Uint8Array; readonly ok: Uint8Array } {
  const slash = path.lastIndexOf('/');
  const service = jsonText(path.slice(1, Math.max(1, slash)), MAX_NAME_LENGTH);
  const method = jsonText(path.slice(slash + 1), MAX_NAME_LENGTH);
  const name = `","grpc.service":"${service}","grpc.method":"${method}"`;
  return { name: bytesOf(name), ok: bytesOf(`${name}${OK}${CALL_TIME_NAME}`) };
}

/** What stands before the attempts; of a call with one, and one message each way, all before its bytes. */
function primaryFields(target: string): { readonly name: Uint8Array; readonly unary: Uint8Array } {
  const name = `,"primary":"${jsonText(target, MAX_TARGET_LENGTH)}","attempts":`;
  const unary = `${name}1,"messages_received":1,"messages_sent":1${BYTES_RECEIVED_NAME}`;
  return { name: bytesOf(name), unary: bytesOf(unary) };
}

function writeMessages(line: LineBytes, call: Call): void {
  line.put(MESSAGES_RECEIVED);
  line.count(call.messagesReceived);
  line.put(MESSAGES_SENT);
  line.count(call.messagesSent);
  line.put(BYTES_RECEIVED);
  writeBytes(line, call);
}

function writeBytes(line: LineBytes, call: Call): void {
  line.count(call.bytesReceived);
  line.put(BYTES_SENT);
  line.count(call.bytesSent);
}

function statusFields(error: StatusError): string {
  return `,"grpc.code":"${codeOf(error)}","grpc.error":"${jsonText(messageOf(error), MAX_ERROR_LENGTH)}"`;
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

/** The application may have put anything in the place of an error's code and message. */
function codeOf({ code }: StatusError): string {
  return Code[code] ?? 'UNKNOWN';
}

function messageOf({ message }: StatusError): string {
  return typeof message === 'string' ? message : '';
}
