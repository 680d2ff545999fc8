import { get } from 'node:http';
import t from 'tap';
import type { LiveState } from '../../lib/admin/live-state.js';
import { within } from '../support/within.js';
import { configOf, Folder, failWith, Operated, startBackend } from './operated.js';

/** The next update of the live page. */
function update(adminUrl: string): Promise<LiveState> {
  const found = new Promise<LiveState>((resolve, reject) => {
    const request = get(`${adminUrl}events`, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        const match = /^data: (.*)\n\n/m.exec(text);
        if (match === null) return;
        request.destroy();
        resolve(JSON.parse(match[1]!) as LiveState);
      });
    });
    request.on('error', reject);
  });
  return within(10_000, 'an update', found);
}

t.test('what the live page has told of calls stays when workers die and are replaced', async (t) => {
  const folder = await Folder.make(t);
  const backend = await startBackend(t, failWith(14));
  const config = await folder.write('proxy.yaml', configOf({ files: backend }, { workers: 2 }));
  const operated = await Operated.start(t, '--config', config);
  for (let i = 0; i < 10; i++) await operated.callOnce();
  const told = async (isSo: (state: LiveState) => boolean): Promise<LiveState> =>
    operated.eventually('the page', () => update(operated.adminUrl), isSo);
  await told(({ all }) => all.calls === 10);

  const [, pid] = await operated.said(/process (\d+): backend files/);
  process.kill(Number(pid), 'SIGKILL');
  await operated.said(/has died \(SIGKILL\), and is replaced/);
  const { all, failures, since } = await update(operated.adminUrl);
  t.equal(all.calls, 10);
  t.equal(all.failed, 10);
  await told((state) => state.all.lastCalls === 10);
  t.strictSame(
    failures.map(({ reason, count }) => [reason, count]),
    [['backend_status', 10]],
  );

  for (let i = 0; i < 10; i++) await operated.callOnce();
  t.equal((await operated.post('/restart')).status, 202);
  await operated.said(/worker 2 \(process \d+\) is replaced by/);
  const later = await update(operated.adminUrl);
  t.equal(later.all.calls, 20, 'also of those that nobody has looked at before they left');
  t.equal(later.failures[0]?.count, 20);
  t.equal(later.running, 0);
  t.ok(Math.abs(later.since! - since!) < 2000, 'and it is told since when');
  t.equal(await operated.end(), 0);
});
