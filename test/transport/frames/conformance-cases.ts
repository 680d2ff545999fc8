import t, { type Test } from 'tap';
import type { StreamAcceptor } from '../../../lib/port/connection.js';
import type { HeaderList } from '../../../lib/port/headers.js';
import { REQUEST } from '../../support/fields.js';
import { ErrorCode, FrameType } from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Call, Echo, type ServerOptions, startBackend, startClient, startServer } from './fixtures.js';

/** What a peer does, and how the engine must answer. */
export interface Case {
  /** Names the section. */
  readonly name: string;
  /** What the peer sends, once the prefaces are exchanged. */
  readonly send: readonly Buffer[] | ((peer: FramePeer) => Promise<void>);
  readonly expect: Expectation;
  readonly options?: ServerOptions;
  readonly acceptor?: StreamAcceptor;
  /** The request on the client's stream 1. */
  readonly request?: HeaderList;
  readonly requestEnds?: boolean;
  /** The call has its end before the error comes. */
  readonly callEnds?: boolean;
}

/** Fields that make any message malformed (RFC 9113 sections 8.2.1 and 8.2.2). */
export const ILLEGAL_FIELDS: readonly (readonly [test: string, name: string, value: string])[] = [
  ['8.2.1 an upper case name', 'X-A', 'b'],
  ['8.2.1 a name with A', 'xA', 'b'],
  ['8.2.1 a name with Z', 'xZ', 'b'],
  ['8.2.1 a name with NUL', 'x\0', 'b'],
  ['8.2.1 a name with a space', 'x a', 'b'],
  ['8.2.1 a name with 0x1f', 'x\x1f', 'b'],
  ['8.2.1 a name with a colon', 'x:a', 'b'],
  ['8.2.1 a name with 0x7f', 'x\x7f', 'b'],
  ['8.2.1 a name with 0x80', 'x\x80', 'b'],
  ['8.2.1 a name with 0xff', 'x\xff', 'b'],
  ['8.2.1 an empty name', '', 'b'],
  ['8.2.1 a value with NUL', 'a', 'b\0c'],
  ['8.2.1 a value with LF', 'a', 'b\nc'],
  ['8.2.1 a value with CR', 'a', 'b\rc'],
  ['8.2.1 a value that begins with a space', 'a', ' b'],
  ['8.2.1 a value that begins with a tab', 'a', '\tb'],
  ['8.2.1 a value that ends with a space', 'a', 'b '],
  ['8.2.1 a value that ends with a tab', 'a', 'b\t'],
  ['8.2.2 connection', 'connection', 'close'],
  ['8.2.2 proxy-connection', 'proxy-connection', 'close'],
  ['8.2.2 keep-alive', 'keep-alive', '1'],
  ['8.2.2 transfer-encoding', 'transfer-encoding', 'chunked'],
  ['8.2.2 upgrade', 'upgrade', 'h2c'],
  ['8.2.2 te other than trailers', 'te', 'deflate'],
];

/** Fields that make a request or response malformed, as they promise another length than there is. */
export const ILLEGAL_LENGTHS: readonly (readonly [test: string, ...fields: readonly string[]])[] = [
  ['8.1.1 content-length without DATA', 'content-length', '1'],
  ['8.1.1 content-length that is no number', 'content-length', '0x'],
  ['8.1.1 content-length that is empty', 'content-length', ''],
  ['8.1.1 content-length with a sign', 'content-length', '-0'],
  ['8.1.1 content-length that is no safe number', 'content-length', '9'.repeat(30)],
  ['8.1.1 two different content-lengths', 'content-length', '1', 'content-length', '0'],
];

/** GOAWAY with a code; RST_STREAM with a code, the connection going on; or no objection at all. */
export type Expectation =
  | { readonly connection: number }
  | { readonly stream: number; readonly code: number }
  | 'fine';

export function connection(code: number): Expectation {
  return { connection: code };
}

export function stream(code: number, streamId = 1): Expectation {
  return { stream: streamId, code };
}

/** The request with some fields more, or others in place of its own. */
export function requestWith(...fields: readonly string[]): string[] {
  return [...REQUEST, ...fields];
}

export function requestWithout(name: string): string[] {
  return REQUEST.filter((_, i) => REQUEST[i - (i % 2)] !== name);
}

export function requestReplacing(name: string, value: string): string[] {
  return REQUEST.map((text, i) => (i % 2 === 1 && REQUEST[i - 1] === name ? value : text));
}

export async function assertExpectation(t: Test, peer: FramePeer, expect: Expectation): Promise<void> {
  if (expect === 'fine') {
    await peer.roundTrip();
    t.strictSame(peer.objections, []);
  } else if ('connection' in expect) {
    t.equal(await peer.goAwayCode(), expect.connection, 'GOAWAY');
  } else {
    t.equal(await peer.resetCode(expect.stream), expect.code, 'RST_STREAM');
    await peer.roundTrip();
    t.strictSame(
      peer.objections.filter((f) => f.type === FrameType.GOAWAY),
      [],
      'the connection goes on',
    );
  }
}

/** What a client can break, against the engine's server. */
export function testServer(cases: readonly Case[]): void {
  for (const { name, send, expect, options, acceptor } of cases) {
    t.test(`RFC 9113 section ${name}`, async (t) => {
      const { address } = await startServer(t, acceptor ?? Echo, options);
      const peer = await FramePeer.client(address);
      t.teardown(() => peer.destroy());
      if (typeof send === 'function') await send(peer);
      else peer.send(...send);
      await assertExpectation(t, peer, expect);
    });
  }
}

/** What a server can break, against the engine's client, which has opened stream 1. */
export function testClient(cases: readonly Case[]): void {
  for (const { name, send, expect, request = REQUEST, requestEnds, callEnds } of cases) {
    t.test(`client, RFC 9113 section ${name}`, async (t) => {
      const server = await startBackend(t);
      const call = new Call(startClient(t, server.target), request, requestEnds);
      const peer = await (await server.accept()).exchangePrefaces();
      await peer.nextHeaders(1);
      if (typeof send === 'function') await send(peer);
      else peer.send(...send);
      await assertExpectation(t, peer, expect);
      if (callEnds) return;
      if (expect === 'fine') {
        t.equal(call.resetCode, -1);
        return;
      }
      await call.until((c) => c.resetCode >= 0);
      if ('connection' in expect) {
        const end = { cause: 'protocol', code: expect.connection, text: /^[A-Z_]+: ./ };
        t.match(call.reset, { code: ErrorCode.CANCEL, by: 'local', lost: end });
      } else {
        t.match(call.reset, { code: expect.code, by: 'local', text: /./, lost: undefined });
      }
    });
  }
}
