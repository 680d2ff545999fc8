import { formatFor, type TextFormat } from './accept.js';
import { Coalesced } from './coalesced.js';
import type { MetricsSnapshot } from './snapshot.js';
import { type MetricsText, textIn } from './text.js';

/**
 * Answers `GET /metrics` for several processes: many who ask at once are given one text, of a snapshot that was made since
 * they asked. Of one process, {@link Metrics.text} does that.
 */
export class MetricsTexts {
  readonly #texts: Readonly<Record<TextFormat, Coalesced<MetricsText>>>;

  /** @param snapshot asks for what is to be told: {@link WorkerMetrics.snapshot}, say, when the workers have told theirs */
  constructor(snapshot: () => Promise<MetricsSnapshot>) {
    const textsIn = (format: TextFormat): Coalesced<MetricsText> =>
      new Coalesced(async () => textIn(format, await snapshot()));
    this.#texts = { prometheus: textsIn('prometheus'), openmetrics: textsIn('openmetrics') };
  }

  /**
   * As text, for a response to `GET /metrics`. Rejected as the snapshot is.
   *
   * @param accept the Accept header of who asks: OpenMetrics, or by default Prometheus's text format
   */
  text(accept?: string): Promise<MetricsText> {
    return this.#texts[formatFor(accept)].get();
  }
}
