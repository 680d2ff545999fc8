/**
 * The states of a stream (RFC 9113 section 5.1), but for the two that only a server push reaches, which nobody
 * here takes part in:
 *
 *                                 +--------+
 *                         send PP |        | recv PP
 *                        ,--------+  idle  +--------.
 *                       /         |        |         \
 *                      v          +--------+          v
 *               +----------+          |           +----------+
 *               |          |          | send H /  |          |
 *        ,------+ reserved |          | recv H    | reserved +------.
 *        |      | (local)  |          |           | (remote) |      |
 *        |      +---+------+          v           +------+---+      |
 *        |          |             +--------+             |          |
 *        |          |     recv ES |        | send ES     |          |
 *        |   send H |     ,-------+  open  +-------.     | recv H   |
 *        |          |    /        |        |        \    |          |
 *        |          v   v         +---+----+         v   v          |
 *        |      +----------+          |           +----------+      |
 *        |      |   half-  |          |           |   half-  |      |
 *        |      |  closed  |          | send R /  |  closed  |      |
 *        |      | (remote) |          | recv R    | (local)  |      |
 *        |      +----+-----+          |           +-----+----+      |
 *        |           |                |                 |           |
 *        |           | send ES /      |       recv ES / |           |
 *        |           |  send R /      v        send R / |           |
 *        |           |  recv R    +--------+   recv R   |           |
 *        | send R /  `----------->|        |<-----------'  send R / |
 *        | recv R                 | closed |               recv R   |
 *        `----------------------->|        |<-----------------------'
 *                                 +--------+
 */
export const State = {
  IDLE: 0,
  OPEN: 1,
  HALF_CLOSED_REMOTE: 2,
  HALF_CLOSED_LOCAL: 3,
  CLOSED: 4,
} as const;

/** What must come next on a stream, as far as HEADERS are concerned (section 8.1). */
export const Expected = {
  /** The final response, perhaps behind interim ones. */
  RESPONSE: 0,
  /** The same to a HEAD request, so that its `content-length` says nothing (section 8.1.1). */
  RESPONSE_TO_HEAD: 1,
  /** DATA, trailers, or END_STREAM. */
  CONTENT: 2,
} as const;

/** What the receiver wants of what comes in. */
export const Delivery = {
  PAUSED: 0,
  FLOWING: 1,
  /** Nothing any more: it has been told of the reset, or has reset the stream itself. */
  OVER: 2,
} as const;
