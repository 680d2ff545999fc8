import { END, ErrorCode, FrameType, frame } from '../../support/frame.js';
import { connection, testClient, testServer } from './conformance-cases.js';
import { BROKEN_BLOCKS } from './hpack/broken-blocks.js';

/** RFC 7541 over a connection, both ways. What the decoder makes of a block alone is in hpack/errors.test.ts. */

const broken = BROKEN_BLOCKS.map(([name, block]) => ({
  name: `4.3: RFC 7541 section ${name}`,
  send: [frame(FrameType.HEADERS, END, 1, block)],
  expect: connection(ErrorCode.COMPRESSION_ERROR),
}));

testServer(broken);
testClient(broken);
