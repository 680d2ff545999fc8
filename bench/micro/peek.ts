import { bench, do_not_optimize, group } from 'mitata';
import { NOBODYS } from '../../lib/port/account.js';
import { PROXY_DEFAULTS } from '../../lib/proxy/defaults.js';
import { Peeker } from '../../lib/server/peeker.js';
import { messageOf } from '../wire/message.js';

const nowhere = {
  inputEnded: false,
  held: NOBODYS,
  pause() {},
  resume() {},
};

/** The first message of a call, from the transport to the director and on. */
export function registerPeek(): void {
  group('peek', () => {
    bench('not peeked', () => {
      const peeker = new Peeker(nowhere, [], PROXY_DEFAULTS);
      do_not_optimize(peeker.take());
    });
    const small = messageOf(100);
    bench('100 bytes', async () => {
      const peeker = new Peeker(nowhere, [], PROXY_DEFAULTS);
      const peeked = peeker.peek();
      peeker.push(small);
      peeker.end();
      do_not_optimize(await peeked);
      do_not_optimize(peeker.take());
    });
    const large = messageOf(1024 * 1024);
    bench('1 MiB in chunks of 16 KiB', async () => {
      const peeker = new Peeker(nowhere, [], PROXY_DEFAULTS);
      const peeked = peeker.peek();
      for (let offset = 0; offset < large.length; offset += 16 * 1024) {
        peeker.push(large.subarray(offset, offset + 16 * 1024));
      }
      peeker.end();
      do_not_optimize(await peeked);
      do_not_optimize(peeker.take());
    });
  });
}
