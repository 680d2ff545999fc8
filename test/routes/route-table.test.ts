import type { Socket } from 'node:net';
import t from 'tap';
import { CallContext } from '../../lib/call/context.js';
import { checkedConfig } from '../../lib/routes/checked-config.js';
import { RouteTable } from '../../lib/routes/route-table.js';
import { type Routing, routingSchema } from '../../lib/routes/schema.js';

t.test('of the methods that clients make up few are remembered, and no long ones', async (t) => {
  const given = { routes: [{ match: {}, reject: { code: 'ABORTED' } }] };
  const { config } = checkedConfig<Routing>(routingSchema, given, true);
  const tools = { conns: new Map(), random: Math.random, compare: undefined, comparesAll: false };
  const table = new RouteTable(config!.routes!, tools);
  const direct = (method: string): void => {
    const ctx = CallContext.ofRequest(method, [':path', method], {} as Socket, undefined);
    t.throws(() => table.direct(ctx, method), { code: 10 });
  };
  direct(`/a.B/${'x'.repeat(300)}`);
  t.equal(table.knownMethods, 0);
  let most = 0;
  for (let i = 0; i < 2500; i++) {
    direct(`/a.B/M${i}`);
    most = Math.max(most, table.knownMethods);
  }
  t.equal(most, 1000);
  for (const odd of ['', '/', '//', 'a', '/a', 'a/b', '/a/']) direct(odd);
});
