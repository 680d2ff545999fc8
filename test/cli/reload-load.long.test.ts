import { readdir } from 'node:fs/promises';
import t from 'tap';
import { type CountedBackend, configOf, Folder, METHOD, Operated, startBackend } from './operated.js';

const RELOADS = 50;

/** Its connections that are open. */
function openOf({ sessions }: CountedBackend): number {
  return sessions.filter(({ destroyed }) => !destroyed).length;
}

for (const transport of ['http2', 'frames']) {
  t.test(`${RELOADS} reloads under load fail no call, and leave nothing open (${transport})`, async (t) => {
    const kept = await startBackend(t);
    const [one, other] = [await startBackend(t), await startBackend(t)];
    const folder = await Folder.make(t);
    const routes = (primary: string) => [
      { match: { service: 'kept.*' }, primary: 'kept' },
      { match: {}, primary },
    ];
    const keys = { transport, accessLog: { file: 'calls.log' } };
    const configs = [
      { ...configOf({ kept, one }, keys), routes: routes('one') },
      {
        ...configOf({ kept, other }, { ...keys, accessLog: { file: 'others.log' } }),
        routes: routes('other'),
      },
    ];
    const file = await folder.write('proxy.yaml', configs[0]!);
    const operated = await Operated.start(t, '--config', file);

    const failures: string[] = [];
    let calls = 0;
    let isOver = false;
    const load = Array.from({ length: 4 }, async (_, index) => {
      const client = operated.client();
      while (!isOver) {
        const { code, details } = await client.call(index % 2 === 0 ? METHOD : '/kept.Service/Method', [
          'hello',
        ]);
        calls++;
        if (code !== 0) failures.push(`${code} ${details}`);
      }
    });
    const open = async (): Promise<number> => {
      const files = await readdir(`/proc/${operated.command.pid}/fd`).catch(() => []);
      return files.length;
    };
    const reload = async (count: number): Promise<void> => {
      await folder.write('proxy.yaml', configs[count % 2]!);
      t.equal((await operated.post('/reload')).status, 202);
      // Calls come in between.
      const before = calls;
      await operated.eventually(
        'calls',
        async () => calls,
        (now) => now >= before + 4,
      );
    };
    for (let count = 1; count <= 4; count++) await reload(count);
    await operated.eventually(
      'one connection to each',
      async () => openOf(one) + openOf(other),
      (sum) => sum <= 1,
    );
    const before = await open();
    for (let count = 5; count <= RELOADS; count++) await reload(count);
    isOver = true;
    await Promise.all(load);
    t.strictSame(failures, [], `of ${calls}`);
    // Some may have been seen before they were asked for.
    t.ok((await operated.reloads('ok')) >= RELOADS);
    t.equal(await operated.reloads('failed'), 0);
    t.equal(kept.sessions.length, 1, 'the connection that all have is kept');
    await operated.eventually(
      'the others close',
      async () => openOf(one) + openOf(other),
      (sum) => sum <= 1,
    );
    await operated.eventually('nothing is left open', open, (count) => count <= before + 2);
    t.equal(await operated.end(), 0);
  });
}
