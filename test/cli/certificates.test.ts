import * as grpc from '@grpc/grpc-js';
import t from 'tap';
import { Authority } from '../support/authority.js';
import { startCommand } from '../support/command.js';
import { GrpcClient } from '../support/grpc-client.js';
import { configOf, Folder, METHOD, Operated, startBackend } from './operated.js';

const RESULT = 'grpc_frame_proxy_certificate_reloads_total';

t.test(
  'certificates of a config file are renewed in all workers; a broken pair is refused, and counted',
  async (t) => {
    const [before, after] = [new Authority('before'), new Authority('after')].map((authority) => ({
      ca: authority.cert,
      ...authority.issue({ name: 'proxy', altNames: ['DNS:localhost', 'IP:127.0.0.1'] }),
    }));
    const folder = await Folder.make(t);
    await folder.write('tls.crt', before!.cert);
    await folder.write('tls.key', before!.key);
    const primary = await startBackend(t);
    const listen = { address: '127.0.0.1:0', tls: { cert: 'tls.crt', key: 'tls.key' } };
    const file = await folder.write('proxy.yaml', configOf({ primary }, { listen, workers: 2 }));
    const operated = await Operated.of(t, startCommand(t, '--config', file, '--admin', '127.0.0.1:0'));
    /** Of several handshakes, of which each worker has its share. */
    const trustedBy = async (ca: string): Promise<number[]> => {
      const codes = [];
      for (let i = 0; i < 4; i++) {
        const client = new GrpcClient(
          `localhost:${operated.port}`,
          grpc.credentials.createSsl(Buffer.from(ca), null, null),
        );
        codes.push((await client.call(METHOD, ['hello'])).code);
        client.close();
      }
      return codes;
    };
    t.strictSame(await trustedBy(before!.ca), [0, 0, 0, 0]);

    await folder.write('tls.crt', after!.cert);
    await operated.said(
      /error: \S+proxy\.yaml:1:\d+: listen\.tls\.key: "\S+tls\.key" does not belong to the certificate; what was read before/,
    );
    t.equal((await operated.metrics()).value(RESULT, { result: 'failed' }), 1);
    t.strictSame(await trustedBy(before!.ca), [0, 0, 0, 0]);

    await folder.write('tls.key', after!.key);
    await operated.said(/changed, and used from the next TLS handshake on: \S+ listen\.tls\.cert /);
    await operated.eventually(
      'all workers use it',
      () => trustedBy(after!.ca),
      (codes) => codes.every((code) => code === 0),
    );
    t.equal((await operated.metrics()).value(RESULT, { result: 'ok' }), 1);
    t.equal(await operated.end(), 0);
  },
);
