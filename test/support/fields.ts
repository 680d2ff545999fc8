/** The fields of a gRPC call as HTTP/2 carries them: name, value, name, value, …; see PROTOCOL-HTTP2 of gRPC. */

export const REQUEST = requestTo('/service/Method');

export function requestTo(path: string): string[] {
  return [
    ...[':method', 'POST'],
    ...[':scheme', 'http'],
    ...[':path', path],
    ...[':authority', 'localhost'],
    ...['content-type', 'application/grpc'],
    ...['te', 'trailers'],
  ];
}

export const RESPONSE = [':status', '200', 'content-type', 'application/grpc'];

/** Trailers that say OK. */
export const TRAILERS = ['grpc-status', '0'];
