import { once } from 'node:events';
import net from 'node:net';
import { dial, Server, transparentHandler } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { dialled, MESSAGE, METHOD, ok, status } from '../support/unary.js';

behaviour('`await using` closes a server and its connections at the end of the block', async (t, world) => {
  const { backends } = await dialled(world, [ok]);
  let port: number;
  {
    await using conn = dial(`127.0.0.1:${backends[0]!.port}`, { transport: world.transports.client });
    await using server = new Server({
      transport: world.transports.server,
      unknownServiceHandler: transparentHandler(() => ({ primary: { conn } })),
    });
    ({ port } = await server.listen('127.0.0.1:0'));
    t.equal(status(await world.http2Client(port).call(METHOD, MESSAGE)), '0');
    t.equal(backends[0]?.sessions[0]?.closed, false);
  }
  const refused = net.connect(port, '127.0.0.1');
  t.match(await once(refused, 'error'), [{ code: 'ECONNREFUSED' }]);
  const session = backends[0]?.sessions[0];
  if (session?.closed === false) await once(session, 'close');
  t.equal(session?.closed, true);
});
