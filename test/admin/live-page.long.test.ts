import { once } from 'node:events';
import type { Browser, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import {
  type AdminServer,
  type AdminSource,
  adminServer,
  callStatistics,
  processSource,
} from '../../lib/admin/index.js';
import { compareResponses, dial, encodeMessage, Server, transparentHandler } from '../../lib/index.js';
import { freePort } from '../support/free-port.js';
import { Http2Backend, respond } from '../support/http2-backend.js';
import { Http2Client } from '../support/http2-client.js';
import { findBrowser, keepPicture, launch, openPage, violationsOf } from './browser.js';

t.jobs = 4;

const MESSAGE = encodeMessage(Buffer.from('message'));

const executable = findBrowser();
const skip = executable === undefined && 'not installed: chromium';
let browser: Browser;
t.before(async () => {
  if (executable !== undefined) browser = await launch(executable);
});
t.teardown(() => browser?.close());

/** A proxy with two backends, a shadow and an endpoint; and what a test does with it. */
class Scene {
  readonly #t: Test;
  readonly client: Http2Client;
  readonly url: string;
  readonly admin: AdminServer;
  readonly #files: Http2Backend;

  private constructor(t: Test, client: Http2Client, url: string, admin: AdminServer, files: Http2Backend) {
    this.#t = t;
    this.client = client;
    this.url = url;
    this.admin = admin;
    this.#files = files;
  }

  /** @param change takes the source's answers' places */
  static async start(t: Test, change: Partial<AdminSource> = {}): Promise<Scene> {
    const files = await Http2Backend.start(async ({ stream, headers, body }) => {
      if (headers[':path']?.endsWith('/Watch')) {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write(MESSAGE);
        return;
      }
      await body();
      if (headers[':path']?.endsWith('/Find'))
        respond(stream, MESSAGE, { 'grpc-status': '5', 'grpc-message': 'none' });
      else respond(stream, MESSAGE);
    });
    const next = await Http2Backend.start(({ stream }) => respond(stream, Buffer.concat([MESSAGE, MESSAGE])));
    const backends = {
      files: dial([`127.0.0.1:${files.port}`, `127.0.0.1:${await freePort()}`]),
      next: dial(`127.0.0.1:${next.port}`),
      billing: dial(`127.0.0.1:${await freePort()}`),
    };
    const parameters = compareResponses(
      { primary: { conn: backends.files }, shadows: [{ conn: backends.next }], route: 'all' },
      { onVerdict: (verdict) => statistics.onVerdict(verdict) },
    );
    const billing = { primary: { conn: backends.billing }, route: 'billing' };
    const server = new Server({
      unknownServiceHandler: transparentHandler((_ctx, method) =>
        method.startsWith('/billing.') ? billing : parameters,
      ),
    });
    const statistics = callStatistics(server);
    const address = await server.listen('127.0.0.1:0');
    const admin = adminServer({ ...processSource({ server, backends, statistics }), ...change });
    const url = await admin.start();
    const client = new Http2Client(address.port);
    t.teardown(async () => {
      client.destroy();
      server.destroy();
      for (const conn of Object.values(backends)) conn.destroy();
      for (const backend of [files, next]) backend.destroy();
      await admin.close();
    });
    return new Scene(t, client, url, admin, files);
  }

  call(path: string): Promise<unknown> {
    return this.client.call(path, MESSAGE);
  }

  /** A call that runs until the test ends. */
  async watch(): Promise<void> {
    const call = this.client.open('/storage.Files/Watch', {}, true);
    call.write(MESSAGE);
    await once(call, 'data');
  }

  /** Calls of all kinds: OK, failed, running. */
  async bustle(): Promise<void> {
    for (let i = 0; i < 12; i++) await this.call(`/storage.Files/Read${i}`);
    await this.call('/storage.Files/Find');
    await this.call('/billing.Invoices/Charge');
    await this.watch();
  }

  loseFiles(): void {
    this.#files.cutConnections('RST');
    this.#files.destroy();
  }

  async open(options?: Parameters<typeof openPage>[3]): ReturnType<typeof openPage> {
    return openPage(this.#t, browser, this.url, options);
  }
}

/** Waits until an element's text is so. */
async function shows(page: Page, selector: string, text: RegExp, timeout = 5000): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout });
}

t.test('a backend that fails is seen within 3 s: which, since when, why, and heard', { skip }, async (t) => {
  const scene = await Scene.start(t);
  await scene.call('/storage.Files/Read');
  const { page } = await scene.open();
  await shows(page, '#failures-none', /^Nothing has failed since/);
  t.equal(await page.locator('#failures li').count(), 0);
  const lostAt = Date.now();
  scene.loseFiles();
  await scene.call('/storage.Files/Read');
  await shows(page, '#failures li', /files cannot be reached/, 3000);
  await shows(page, '#backends tr', /files.*Failing/, Math.max(1, 3000 - (Date.now() - lostAt)));
  t.ok(Date.now() - lostAt < 3000);
  const text = await page.locator('#failures li').first().innerText();
  t.match(text, /UNAVAILABLE · backend_connect/);
  t.match(text, /connection refused/);
  t.match(text, /\/storage\.Files\/Read/);
  t.match(text, /Since\s+\d\d:\d\d:\d\d \(\d s\)/);
  await shows(page, '#news[aria-live=polite]', /New failure: files cannot be reached/);
  t.match(await page.title(), /^\(1 failing\)/);
  t.equal(await page.locator('#icon').getAttribute('href'), 'icon-failing.svg');
  await shows(page, '#methods td[data-is=bad]', /^50 %$/);
});

t.test(
  'it tells of calls, backends and shadows, all from the endpoint',
  { skip, buffered: true },
  async (t) => {
    const scene = await Scene.start(t);
    await scene.bustle();
    const { page, errors, requests } = await scene.open();
    await shows(page, '#calls tr', /Watch.*streaming.*files.*1 msg, 7 B.*1 msg, 7 B/s);
    await shows(page, '#backends tr', /files.*Ready/s);
    await shows(page, '#shadows tr', /next.*shadow.*in place of/s);
    await shows(page, '#reachable', /2 of 3/);
    await shows(page, '#running', /^1$/);
    await shows(page, '#failures li.quiet', /files answers NOT_FOUND/);
    t.equal(await page.locator('#methods tbody tr').count(), 12, 'not all at once');
    await page.getByRole('button', { name: 'Show all 14' }).click();
    t.equal(await page.locator('#methods tbody tr').count(), 14);
    const chart = page.locator('#methods tbody tr').first().locator('svg .calls');
    t.match(await chart.getAttribute('d'), /^M/);

    t.strictSame([...new Set(requests.map((url) => new URL(url).origin))], [new URL(scene.url).origin]);
    t.ok(requests.length >= 7, 'scripts, styles and events');
    let bytes = 0;
    for (const url of requests.filter((each) => !each.endsWith('/events'))) {
      bytes += (await (await fetch(url)).arrayBuffer()).byteLength;
    }
    t.ok(bytes < 100_000, `${bytes} bytes`);
    t.strictSame(errors, []);
  },
);

t.test('no name of a method is more than text', { skip, buffered: true }, async (t) => {
  const scene = await Scene.start(t);
  const { page, errors } = await scene.open();
  await scene.call('/a.B/<img/src=x/onerror=alert(1)>');
  await scene.call('/a.B/</script><script>alert(1)</script>');
  await scene.call('/__proto__/constructor');
  await shows(page, '#methods tr', /<img\/src=x\/onerror=alert\(1\)>/);
  await shows(page, '#methods tr', /<script>alert\(1\)/);
  await shows(page, '#methods tr', /__proto__/);
  t.equal(await page.locator('img, main script').count(), 0);
  t.strictSame(errors, []);
});

t.test('nothing keeps anybody from reading it', { skip, buffered: true }, async (t) => {
  const scene = await Scene.start(t);
  await scene.bustle();
  // By the policy the test's own script would be refused.
  const { page } = await scene.open({ bypassCSP: true, reducedMotion: 'reduce' });
  await shows(page, '#failures li', /billing cannot be reached/);
  await shows(page, '#calls tr', /Watch/);
  for (const [colorScheme, width] of [
    ['light', 1280],
    ['dark', 1280],
    ['dark', 800],
    ['light', 360],
  ] as const) {
    const name = `${colorScheme}-${width}`;
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await keepPicture(page, name);
    t.strictSame(await violationsOf(page), [], name);
    const sizes = await page.evaluate('[document.documentElement.scrollWidth, innerWidth]');
    const [scrolled, seen] = sizes as [number, number];
    t.ok(scrolled <= seen, `${name}: ${scrolled} in ${seen}`);
  }
  const animation = 'getComputedStyle(document.querySelector("#failures li")).animationName';
  t.equal(await page.evaluate(animation), 'none', 'nothing moves for who does not want it');
});

t.test(
  'the keyboard reaches all that can be used, and shows where it is',
  { skip, buffered: true },
  async (t) => {
    const scene = await Scene.start(t);
    await scene.bustle();
    // Some tables have to scroll.
    const { page } = await scene.open({ viewport: { width: 760, height: 800 } });
    await shows(page, '#calls tr', /Watch/);
    const reached: string[] = [];
    for (let i = 0; i < 20; i++) {
      await page.keyboard.press('Tab');
      const where = (await page.evaluate(`(() => {
      const focused = document.activeElement;
      if (focused === document.body) return null;
      const { outlineStyle, outlineWidth } = getComputedStyle(focused);
      const isSeen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
      return (isSeen ? '' : 'unseen: ') + (focused.getAttribute('aria-label') ?? focused.textContent);
    })()`)) as string | null;
      if (where === null) break;
      reached.push(where);
    }
    const scrolling = (await page.evaluate(`
    [...document.querySelectorAll('.frame')]
      .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
      .map((frame) => frame.getAttribute('aria-label'))
  `)) as string[];
    t.ok(scrolling.includes('Methods, to scroll'));
    const usable = ['Pause', ...scrolling, 'Show all 14', '/backends', '/calls', '/readyz'];
    t.strictSame([...reached].sort(), usable.sort());
    t.equal(reached[0], 'Pause');
  },
);

t.test(
  'it says that the process is not ready, and why, and can be paused',
  { skip, buffered: true },
  async (t) => {
    let readiness: Awaited<ReturnType<AdminSource['ready']>> = { ready: true };
    const scene = await Scene.start(t, { ready: () => readiness });
    const { page } = await scene.open();
    await shows(page, '#state', /^Ready$/);
    readiness = { ready: false, reason: 'draining' };
    await shows(page, '#state', /^Not ready: draining$/);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    await shows(page, '#state', /^Paused$/);
    await scene.call('/storage.Files/Late');
    await page.waitForTimeout(1500);
    t.equal(await page.locator('#methods tbody tr').count(), 0, 'no update is shown');
    await page.keyboard.press('Space');
    await shows(page, '#methods tr', /Late/);
    await shows(page, '#state', /^Not ready: draining$/);
  },
);

t.test(
  'it says since when it is disconnected, and comes back by itself',
  { skip, buffered: true },
  async (t) => {
    const scene = await Scene.start(t);
    const { page } = await scene.open({ bypassCSP: true });
    await scene.call('/storage.Files/Read');
    await shows(page, '#methods tr', /Read/);
    await scene.admin.close();
    await shows(page, '#lost[role=alert]', /^Disconnected since \d\d:\d\d:\d\d\./);
    await shows(page, '#state', /^Disconnected$/);
    t.equal(await page.locator('#methods tbody tr').count(), 1, 'what was known stays');
    t.strictSame(await violationsOf(page), []);
    await keepPicture(page, 'disconnected');
    const again = adminServer({ ready: () => ({ ready: true }) }, { address: new URL(scene.url).host });
    await again.start();
    t.teardown(() => again.close());
    await shows(page, '#state', /^Ready$/, 8000);
    t.equal(await page.locator('#lost').isVisible(), false);
  },
);
