import type { Http2Stream } from 'node:http2';
import { ErrorCode } from '../../port/error-code.js';

/** How long to wait before the first further look; each next wait is twice as long, up to the longest. */
const FIRST_WAIT_MILLISECONDS = 20;
const LONGEST_WAIT_MILLISECONDS = 1000;

/** `bufferSize` is missing from the types of an `Http2Stream`. */
type Buffering = Http2Stream & { readonly bufferSize: number };

/**
 * RST_STREAM(NO_ERROR) once END_STREAM is out. nghttp2 drops trailers that are queued when a reset is submitted,
 * and Node has no event for their being sent: `state` tells. They are, nearly always, at the first look.
 */
export function resetAfterEnd(node: Http2Stream, stallTimeout: number): void {
  const { bufferSize } = node as Buffering;
  look(node as Buffering, stallTimeout, FIRST_WAIT_MILLISECONDS, bufferSize, performance.now());
}

function look(node: Buffering, stallTimeout: number, wait: number, lastSize: number, movedAt: number): void {
  if (node.closed) {
    // The client has reset it, or half-closed and taken its answer. What has come in keeps it for ever.
    node.destroy();
    return;
  }
  const now = performance.now();
  if (node.state.localClose === 1 || now - movedAt > stallTimeout) {
    // What has come in is dropped; the stream closes only once that has been read.
    node.resume();
    node.close(node.state.localClose === 1 ? ErrorCode.NO_ERROR : ErrorCode.CANCEL);
    return;
  }
  const size = node.bufferSize;
  setTimeout(
    look,
    wait,
    node,
    stallTimeout,
    Math.min(2 * wait, LONGEST_WAIT_MILLISECONDS),
    size,
    size === lastSize ? movedAt : now,
  ).unref();
}
