/** What a request asks for, and of whom: in a form that proxies are asked in, too. */
export interface RequestTarget {
  /** `HOST` or `HOST:PORT`; undefined: what the field `Host` says. */
  readonly host: string | undefined;
  /** Without a query. */
  readonly path: string;
}

/**
 * Reads it. "… a server MUST accept the absolute-form in requests, even though HTTP/1.1 clients will only send them in requests
 * to proxies." Then it "MUST ignore the received Host header field (if any) and instead use the host information of the
 * request-target." (RFC 9112 section 3.2.2)
 */
export function requestTarget(text: string): RequestTarget {
  const absolute = /^http:\/\/([^/?#]*)([^?#]*)/i.exec(text);
  if (absolute !== null) return { host: absolute[1]!, path: absolute[2] || '/' };
  return { host: undefined, path: text.split('?', 1)[0]! };
}
