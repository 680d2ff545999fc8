import { readFileSync } from 'node:fs';
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import { FrameConnection, type FrameReceiver } from '../wire/frame-connection.js';
import { messageOf } from '../wire/message.js';
import type { BackendMode, BackendSetup } from './backend-setup.js';

const HEADERS = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
] as const;
const TRAILERS = [
  ['grpc-status', '0'],
  ['grpc-message', ''],
] as const;

/** One connection to the backend: answers every call in the same way, whatever its headers say. */
class BackendConnection implements FrameReceiver {
  readonly #connection: FrameConnection;
  readonly #mode: BackendMode;
  readonly #answer: Buffer;

  constructor(socket: Socket, mode: BackendMode, answer: Buffer) {
    this.#connection = new FrameConnection(socket, this, true);
    this.#mode = mode;
    this.#answer = answer;
  }

  onHeaders(streamId: number, endStream: boolean): void {
    const stream = this.#connection.stream(streamId) ?? this.#connection.open(streamId);
    if (this.#mode === 'echo') this.#connection.sendHeaders(stream, HEADERS);
    if (endStream) this.#end(streamId);
  }

  onData(streamId: number, payload: Buffer, endStream: boolean): void {
    const stream = this.#connection.stream(streamId);
    if (stream === undefined) return;
    if (this.#mode === 'echo' && payload.length > 0) this.#connection.sendData(stream, payload);
    if (endStream) this.#end(streamId);
  }

  onReset(streamId: number): void {
    this.#connection.forget(streamId);
  }

  onGone(): void {}

  #end(streamId: number): void {
    const stream = this.#connection.stream(streamId);
    if (stream === undefined) return;
    if (this.#mode === 'answer') {
      this.#connection.sendHeaders(stream, HEADERS);
      this.#connection.sendData(stream, this.#answer);
    }
    this.#connection.end(stream, TRAILERS);
  }
}

const setup: BackendSetup = JSON.parse(process.argv[2]!);
const answer = messageOf(setup.answerBytes);
const serve = (socket: Socket): void => {
  new BackendConnection(socket, setup.mode, answer);
};

const ports: number[] = [];
for (let index = 0; index < setup.count; index++) {
  const server =
    setup.tls === undefined
      ? net.createServer(serve)
      : tls.createServer(
          { key: readFileSync(setup.tls.key), cert: readFileSync(setup.tls.cert), ALPNProtocols: ['h2'] },
          serve,
        );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ports.push((server.address() as AddressInfo).port);
}
console.log(JSON.stringify(ports));
