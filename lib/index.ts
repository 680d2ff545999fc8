export type { CallOptions } from './client/call-options.js';
export { ClientConn, type DialOptions, dial } from './client/client-conn.js';
export { CallContext, incomingToOutgoing } from './grpc/call-context.js';
export {
  type Codec,
  codecWithParent,
  Frame,
  type GoogleProtobufType,
  type MessageType,
  newCodec,
  type ProtobufjsType,
  protobufCodec,
} from './grpc/codec.js';
export {
  encodeMessage,
  FramingError,
  type Message,
  MessageParser,
  PREFIX_LENGTH,
} from './grpc/framing.js';
export type { HeaderList } from './grpc/headers.js';
export {
  Metadata,
  type MetadataFieldOptions,
  type MetadataInit,
  type MetadataInput,
  type MetadataValue,
} from './grpc/metadata.js';
export { MessageScanner } from './grpc/scanner.js';
export { Code, StatusError } from './grpc/status.js';
export type {
  Destination,
  ErrorVerdict,
  StreamDirector,
  StreamParameters,
} from './proxy/director.js';
export {
  handleStream,
  type ProxyOptions,
  registerService,
  registerStreamHandlers,
  transparentHandler,
} from './proxy/handler.js';
export { InvalidPeekCountError, type PeekOptions, type StreamPeeker } from './proxy/peeker.js';
export type { ResponseObserver } from './proxy/response-observer.js';
export { Server, type ServerOptions, type StreamHandler, type StreamInterceptor } from './server/server.js';
export type { ServerStream } from './server/server-stream.js';
export type { ListenAddress } from './transport/port.js';
export type { TransportName } from './transport/transports.js';
