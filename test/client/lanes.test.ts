import t from 'tap';
import { ClientShare, Lanes } from '../../lib/client/channel/lanes.js';
import { Account } from '../../lib/port/account.js';
import { DEFAULT_SERVER_LIMITS } from '../../lib/transport/limits.js';

t.test('what a client is at fault for costs each other client few connections, and soon none', (t) => {
  const lanes = new Lanes(100);
  const clients = Array.from({ length: 16 }, () => new ClientShare());
  const attacker = clients[5]!;
  const lost = new Map(clients.map((client) => [client, 0]));
  for (let round = 0; round < 20; round++) {
    const lane = lanes.of(attacker);
    const together = new Set(clients.filter((client) => lanes.of(client) === lane));
    for (const client of together) lost.set(client, lost.get(client)! + 1);
    lanes.split(together);
  }
  lost.delete(attacker);
  t.ok(Math.max(...lost.values()) <= 4, `${[...lost.values()]}`);
  t.equal(clients.filter((client) => client.lane === attacker.lane).length, 1);
  t.end();
});

t.test('who is alone when a connection is lost stays where it is, once', (t) => {
  const lanes = new Lanes(100);
  const client = new ClientShare();
  lanes.split(new Set([client]));
  t.equal(lanes.of(client), lanes.shared);
  t.equal(lanes.areUsed, false);
  lanes.split(new Set([client]));
  t.equal(lanes.of(client).kind, 'suspect', 'once');
  t.end();
});

t.test('a client is known by its account, and has a lane of its own from 100 streams on', (t) => {
  const lanes = new Lanes(100);
  const [one, other] = [0, 1].map(() => new Account(DEFAULT_SERVER_LIMITS, () => {}));
  const share = lanes.shareOf(one!);
  t.equal(lanes.shareOf(one!), share);
  t.not(lanes.shareOf(other!), share);
  share.streams = 99;
  t.equal(lanes.of(share), lanes.shared);
  share.streams = 100;
  const lane = lanes.of(share);
  t.equal(lane.kind, 'heavy');
  share.streams = 0;
  t.equal(lanes.of(share), lane, 'for as long as it is there');
  t.equal(lanes.of(lanes.shareOf(other!)), lanes.shared);
  t.equal(lanes.areUsed, true);
  t.end();
});

t.test('where few connections may be made, all clients share them', (t) => {
  const lanes = new Lanes(2);
  const clients = [new ClientShare(), new ClientShare()];
  clients[0]!.streams = 1000;
  lanes.split(new Set(clients));
  for (const client of clients) t.equal(lanes.of(client), lanes.shared);
  t.end();
});
