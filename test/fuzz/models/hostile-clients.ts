import { HostileClient } from '../../support/hostile-client.js';
import { judgeOutput } from '../../support/judge-output.js';
import { Arena, ended } from '../arena.js';
import { callHonestlyMoreThanOnce } from '../honest.js';
import type { Model } from '../model.js';
import { violated } from '../violated.js';

/** Clients that break HTTP/2 and gRPC in every way harm nobody but themselves. */
export const hostileClients: Model = {
  name: 'hostile-clients',
  async run(random, setting) {
    await Arena.run(setting, { server: true }, async (arena) => {
      const conn = await arena.echo();
      const port = await arena.proxy(async (_ctx, method, peeker) => {
        if (method.endsWith('Peek')) await peeker.peek(2);
        return { primary: { conn }, secondaries: method.endsWith('Copy') ? [{ conn }] : [] };
      });
      const honest = arena.client(port);
      const attack = (isTame: boolean) =>
        ended('a client to go', HostileClient.attack(port, random.fork(), setting.wire, isTame));
      const attacks = Array.from({ length: random.int(1, 3) }, () => attack(false));
      const tame = random.chance(0.5) ? [attack(true)] : [];
      await Promise.all([
        ...attacks.map(async (attack) => judge(await attack, setting.server === 'frames')),
        ...tame.map(async (attack) => judgeTame(await attack)),
        callHonestlyMoreThanOnce(random.fork(), honest),
        callHonestlyMoreThanOnce(random.fork(), honest),
      ]);
    });
  },
};

/**
 * An OK must have been earned: by a whole request, of which each byte has come back.
 *
 * @returns how many were
 */
function judge({ sent, received }: HostileClient, isEngine: boolean): number {
  if (received.broken) violated('the proxy sent a field block that cannot be decoded');
  if (isEngine) judgeOutput(received);
  let earned = 0;
  for (const { id, status, data } of received.streams.values()) {
    if (status !== '0') continue;
    const request = sent.streams.get(id);
    if (!request?.ended) violated(`stream ${id}: OK for a request without an end`);
    if (!request.isWholeMessages) violated(`stream ${id}: OK for half a message`);
    if (!request.data.equals(data)) violated(`stream ${id}: OK with ${data.length} other bytes`);
    earned++;
  }
  return earned;
}

function judgeTame(client: HostileClient): void {
  const earned = judge(client, true);
  if (earned === client.calls) return;
  const lists = [...client.received.streams.values()].map(({ lists }) => lists);
  violated(`${earned} of ${client.calls} calls that were right were served`, lists);
}
