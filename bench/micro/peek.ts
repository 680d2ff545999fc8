import { bench, do_not_optimize, group } from 'mitata';
import type { Stream } from '../../lib/port/stream.js';
import { Peeker } from '../../lib/proxy/peeker.js';
import { messageOf } from '../wire/message.js';

const MAX_PEEK_BYTES = 4 * 1024 * 1024;

const nowhere: Stream = {
  receiver: { onHeaders() {}, onData() {}, onEnd() {}, onReset() {}, onDrain() {} },
  sendHeaders() {},
  sendData: () => true,
  reset() {},
  pause() {},
  resume() {},
};

/** The first message of a call, from the transport to the director and on. */
export function registerPeek(): void {
  group('peek', () => {
    bench('not peeked', () => {
      const peeker = new Peeker(nowhere, false, [], MAX_PEEK_BYTES);
      do_not_optimize(peeker.take());
    });
    const small = messageOf(100);
    bench('100 bytes', async () => {
      const peeker = new Peeker(nowhere, false, [], MAX_PEEK_BYTES);
      const peeked = peeker.peek();
      peeker.push(small);
      do_not_optimize(await peeked);
      do_not_optimize(peeker.take());
    });
    const large = messageOf(1024 * 1024);
    bench('1 MiB in chunks of 16 KiB', async () => {
      const peeker = new Peeker(nowhere, false, [], MAX_PEEK_BYTES);
      const peeked = peeker.peek();
      for (let offset = 0; offset < large.length; offset += 16 * 1024) {
        peeker.push(large.subarray(offset, offset + 16 * 1024));
      }
      do_not_optimize(await peeked);
      do_not_optimize(peeker.take());
    });
  });
}
