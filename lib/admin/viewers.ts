import type { ServerResponse } from 'node:http';
import { warn } from '../call/hooks.js';
import { ADMIN_LIMITS } from './defaults.js';

/** One who has `/events` open. */
interface Viewer {
  readonly response: ServerResponse;
  /** Updates in a row that it was not given, since it has not read the one before. */
  missed: number;
}

/** Who looks at the live page. Each gets the same update, once a second; nothing is done while nobody looks. */
export class Viewers {
  readonly #update: () => Promise<string>;
  readonly #viewers = new Set<Viewer>();
  #timer: NodeJS.Timeout | undefined;
  #isUpdating = false;
  #hasFailed = false;

  /** @param update makes an update: a line of JSON */
  constructor(update: () => Promise<string>) {
    this.#update = update;
  }

  get isFull(): boolean {
    return this.#viewers.size >= ADMIN_LIMITS.maxViewers;
  }

  /** From now on it gets updates. Its head has been written. */
  add(response: ServerResponse): void {
    const viewer: Viewer = { response, missed: 0 };
    this.#viewers.add(viewer);
    response.once('close', () => this.#remove(viewer));
    // How soon a browser that has lost it comes back.
    response.write('retry: 1000\n\n');
    this.#timer ??= setInterval(() => void this.#tell(), ADMIN_LIMITS.updateMilliseconds).unref();
    void this.#tell();
  }

  end(): void {
    for (const { response } of this.#viewers) response.end();
  }

  #remove(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #tell(): Promise<void> {
    if (this.#isUpdating) return;
    this.#isUpdating = true;
    try {
      const event = `data: ${await this.#update()}\n\n`;
      this.#hasFailed = false;
      for (const viewer of this.#viewers) write(viewer, event);
    } catch (error) {
      // Once, and not with each update.
      if (!this.#hasFailed) warn(error);
      this.#hasFailed = true;
    } finally {
      this.#isUpdating = false;
    }
  }
}

/** An update that comes while another waits says nothing new to one who is slow: the next will. */
function write(viewer: Viewer, event: string): void {
  const { response } = viewer;
  if (!response.writableNeedDrain) {
    viewer.missed = 0;
    response.write(event);
    return;
  }
  viewer.missed++;
  const { maxViewerBytes, maxMissedUpdates } = ADMIN_LIMITS;
  if (response.writableLength > maxViewerBytes || viewer.missed >= maxMissedUpdates) response.destroy();
}
