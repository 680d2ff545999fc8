import http2, { type ClientHttp2Session } from 'node:http2';
import { messageOf } from '../attack.js';

const SMALL = { message: messageOf(100), parallel: 100, share: 1 };
const LARGE = { message: messageOf(1_000_000), parallel: 4, share: 0.01 };

/**
 * Makes honest calls, small and large, until a process that serves them has warmed up: its code is compiled, and its
 * heap as large as calls make it.
 */
export async function warmUp(port: number, calls: number): Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    for (const { message, parallel, share } of [SMALL, LARGE]) {
      for (let left = calls * share; left > 0; left -= parallel) {
        await Promise.all(Array.from({ length: parallel }, () => echo(session, message)));
      }
    }
  } finally {
    session.destroy();
  }
}

function echo(session: ClientHttp2Session, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/common/Echo',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', reject);
    stream.on('close', resolve);
    stream.resume();
    stream.end(body);
  });
}
