/**
 * A transparent gRPC reverse proxy: calls are taken in, directed by code of yours that may look at their first messages, and
 * passed on as they are, to one backend that answers and any number that get copies.
 *
 *     import { Code, dial, Server, StatusError, transparentHandler } from 'grpc-frame-proxy';
 *
 *     const backends = new Map([['acme', dial('dns:///acme.example:50051')]]);
 *     const handler = transparentHandler((ctx) => {
 *       const conn = backends.get(ctx.metadata.get('x-tenant') ?? '');
 *       if (conn === undefined) throw new StatusError(Code.PERMISSION_DENIED, 'no such tenant');
 *       return { primary: { conn } };
 *     });
 *     const server = new Server({ unknownServiceHandler: handler });
 *     await server.listen('0.0.0.0:50051');
 *
 * {@link Server} takes calls in, {@link transparentHandler} sends them where a {@link StreamDirector} says, and {@link dial}
 * makes the connections to backends. What a call must do, case by case, is in lib/BEHAVIOUR.md.
 *
 * @module grpc-frame-proxy
 */

export { CallContext, incomingToOutgoing } from './call/context.js';
export { ContextKey } from './call/context-key.js';
export type {
  AttemptOutcome,
  CallObserver,
  CallWatcher,
  DestinationWatcher,
  RunningCall,
  RunningCallState,
  StartedDestination,
} from './call/observer.js';
export type {
  CallOutcome,
  DestinationOutcome,
  Failure,
  FailureReason,
  PeerRefusalReason,
  RefusedPeer,
  RefusedRequest,
  ShadowOutcome,
  ShadowResult,
  ShadowState,
} from './call/outcome.js';
export type { CallOptions } from './client/call-options.js';
export type {
  AddressFailure,
  AddressState,
  ConnectionCounts,
  ConnectivityState,
  ConnectivityStateName,
} from './client/channel/connectivity.js';
export type { LoadBalancing } from './client/channel/load-balancing.js';
export { ClientConn, type CloseConnOptions, type DialOptions, dial } from './client/client-conn.js';
export type { CallStatus, ClientStream, ClientStreamOptions } from './client/client-stream.js';
export type { RetryPolicy } from './client/retry-policy.js';
export type { RetryThrottling } from './client/retry-throttle.js';
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
export type { BadRequest, ErrorInfo, FieldViolation, RetryInfo } from './grpc/error-details.js';
export {
  encodeMessage,
  FramingError,
  type Message,
  MessageParser,
} from './grpc/framing.js';
export {
  Metadata,
  type MetadataFieldOptions,
  type MetadataInit,
  type MetadataInput,
  type MetadataValue,
} from './grpc/metadata.js';
export { protobufInteger, protobufString } from './grpc/protobuf-field.js';
export { Code, StatusError, type StatusErrorJson } from './grpc/status.js';
export {
  type EncodedDetail,
  type FoundStatusDetails,
  readStatusDetails,
  type StatusDetails,
  withStatusDetails,
} from './grpc/status-details.js';
export type { AddressInUse, DialAddress, ListenAddress, TcpAddress, UnixAddress } from './port/address.js';
export type { ProxyErrorCode, ProxyErrors } from './port/errors.js';
export type { HeaderList } from './port/headers.js';
export type { PeerCertificate, SubjectAltName } from './port/peer-certificate.js';
export type { Rate } from './port/rate.js';
export type { DialTarget } from './port/target.js';
export { compareResponses } from './proxy/compare/compare-responses.js';
export type { CompareOptions, DecodeInfo } from './proxy/compare/settings.js';
export type {
  ComparedMessage,
  ComparedResponse,
  ResponseDifference,
  ResponseVerdict,
} from './proxy/compare/verdict.js';
export { type MethodCounts, type ResultCounts, VerdictCounts } from './proxy/compare/verdict-counts.js';
export type {
  Destination,
  ErrorVerdict,
  Secondaries,
  SecondaryQuorum,
  ShadowDestination,
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
export type { RequestObserver } from './proxy/request-observer.js';
export type { ResponseObserver } from './proxy/response-observer.js';
export type { StreamHandler, StreamInterceptor } from './server/handler.js';
export type { StreamHandlers } from './server/handlers.js';
export { InvalidPeekCountError, type PeekOptions, type StreamPeeker } from './server/peeker.js';
export { type CloseOptions, type ListenOptions, Server, type ServerOptions } from './server/server.js';
export type { ServerStream } from './server/server-stream.js';
export type { NodeHttp2Server } from './transport/http2/node-types.js';
export type {
  DialKeepaliveTimes,
  DialLimits,
  GivenLimits,
  KeepaliveTimes,
  PermittedKeepalive,
  ServerLimits,
  TransportLimits,
} from './transport/limits.js';
export type { TransportName } from './transport/transport-name.js';
