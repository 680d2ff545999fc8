import * as grpc from '@grpc/grpc-js';

export type BidiCall = grpc.ServerDuplexStream<Buffer, Buffer>;

/** Handlers by full method name, each with the whole stream in its hands (every method is bidi to grpc-js). */
export type Handlers = Readonly<Record<string, (call: BidiCall) => void>>;

const pass = (bytes: Buffer): Buffer => bytes;

/** A gRPC server on grpc-js whose messages are bytes. */
export class GrpcBackend {
  readonly #server: grpc.Server;
  readonly port: number;

  private constructor(server: grpc.Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(
    handlers: Handlers,
    options: grpc.ServerOptions = {},
    port = 0,
    credentials = grpc.ServerCredentials.createInsecure(),
  ): Promise<GrpcBackend> {
    const server = new grpc.Server({ 'grpc.max_receive_message_length': -1, ...options });
    for (const [method, handler] of Object.entries(handlers)) {
      server.register(method, handler as grpc.handleBidiStreamingCall<Buffer, Buffer>, pass, pass, 'bidi');
    }
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, credentials, (error, actual) =>
        error ? reject(error) : resolve(actual),
      );
    });
    return new GrpcBackend(server, bound);
  }

  /** Resolves when running calls have finished. */
  close(): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#server.tryShutdown((error) => (error ? reject(error) : resolve())),
    );
  }

  destroy(): void {
    this.#server.forceShutdown();
  }
}

/** Sends every message back, then ends OK. */
export function echo(call: BidiCall): void {
  call.on('data', (message: Buffer) => {
    call.write(message);
  });
  call.on('end', () => call.end());
  // grpc-js emits it for a call that the client cancelled.
  call.on('error', () => {});
}

/** Ends the call with a status that is not OK, at once. */
export function failWith(code: grpc.status, details: string, metadata = new grpc.Metadata()) {
  return (call: BidiCall): void => {
    call.emit('error', Object.assign(new Error(details), { code, details, metadata }));
  };
}
