import { formatFor, type TextFormat } from './accept.js';
import { Coalesced } from './coalesced.js';
import type { MetricsSnapshot } from './snapshot.js';
import { type MetricsText, textIn } from './text.js';

/** Answers `GET /metrics`: many who ask at once are given one text, of a snapshot that was made since they asked. */
export class MetricsTexts {
  readonly #texts: Readonly<Record<TextFormat, Coalesced<MetricsText>>>;

  constructor(snapshot: () => Promise<MetricsSnapshot>) {
    const textsIn = (format: TextFormat): Coalesced<MetricsText> =>
      new Coalesced(async () => textIn(format, await snapshot()));
    this.#texts = { prometheus: textsIn('prometheus'), openmetrics: textsIn('openmetrics') };
  }

  /** @param accept the Accept header of who asks: OpenMetrics, or by default Prometheus's text format */
  text(accept?: string): Promise<MetricsText> {
    return this.#texts[formatFor(accept)].get();
  }
}
