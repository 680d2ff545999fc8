import * as grpc from '@grpc/grpc-js';

const pass = (bytes: Buffer): Buffer => bytes;

/** All that a call brought. */
export interface CallResult {
  readonly code: grpc.status;
  readonly details: string;
  readonly messages: Buffer[];
  /** Undefined if no response headers came before the trailers. */
  readonly headers: grpc.Metadata | undefined;
  readonly trailers: grpc.Metadata;
}

export type BidiCall = grpc.ClientDuplexStream<Buffer, Buffer>;

/** A gRPC client on grpc-js whose messages are bytes. */
export class GrpcClient {
  readonly #client: grpc.Client;

  constructor(
    portOrTarget: number | string,
    credentials = grpc.credentials.createInsecure(),
    options: grpc.ChannelOptions = {},
  ) {
    const target = typeof portOrTarget === 'number' ? `127.0.0.1:${portOrTarget}` : portOrTarget;
    this.#client = new grpc.Client(target, credentials, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // Else clients to one address share their connections across tests.
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
  }

  /** Opens a call, to be driven by the test. */
  open(method: string, metadata = new grpc.Metadata(), options: grpc.CallOptions = {}): BidiCall {
    return this.#client.makeBidiStreamRequest(method, pass, pass, metadata, options);
  }

  /** Sends these messages, half-closes, and collects what comes back. Never rejects: the status is a result. */
  async call(
    method: string,
    messages: readonly (Buffer | string)[],
    metadata = new grpc.Metadata(),
    options: grpc.CallOptions = {},
  ): Promise<CallResult> {
    const call = this.open(method, metadata, options);
    const result = collect(call);
    for (const message of messages) call.write(Buffer.from(message));
    call.end();
    return result;
  }

  close(): void {
    this.#client.close();
  }
}

/** What a call brings, once it has ended. Reads it. */
export function collect(call: BidiCall): Promise<CallResult> {
  const messages: Buffer[] = [];
  let headers: grpc.Metadata | undefined;
  call.on('data', (message: Buffer) => messages.push(message));
  call.on('metadata', (metadata: grpc.Metadata) => {
    headers = metadata;
  });
  // The status tells the same.
  call.on('error', () => {});
  return new Promise((resolve) => {
    call.on('status', ({ code, details, metadata }: grpc.StatusObject) => {
      resolve({ code, details, messages, headers, trailers: metadata });
    });
  });
}
