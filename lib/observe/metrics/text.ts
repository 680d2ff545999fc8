import { CONTENT_TYPES, formatFor, type TextFormat } from './accept.js';
import { METRICS_LIMITS } from './defaults.js';
import { FamilyText } from './exposition.js';
import type { MetricsSnapshot } from './snapshot.js';
import { Turns } from './turns.js';

/** Metrics as an HTTP response carries them. */
export interface MetricsText {
  /** The response's `content-type`. */
  readonly contentType: string;
  /** UTF-8. The same for all who ask at once: not to be changed. */
  readonly body: Buffer;
}

/**
 * Metrics as text. That of a thousand methods is some megabytes: the event loop turns meanwhile.
 *
 * @param accept the Accept header of who asks: OpenMetrics, or by default Prometheus's text format
 */
export function textOf(snapshot: MetricsSnapshot, accept?: string): Promise<MetricsText> {
  return textIn(formatFor(accept), snapshot);
}

export async function textIn(format: TextFormat, { families }: MetricsSnapshot): Promise<MetricsText> {
  const output = new TextOutput();
  const turns = new Turns();
  for (const family of families) {
    const text = new FamilyText(family, format);
    output.write(text.head());
    for (const series of family.series) {
      output.write(text.series(series));
      if (turns.isDue) await turns.next();
    }
  }
  if (format === 'openmetrics') output.write('# EOF\n');
  return { contentType: CONTENT_TYPES[format], body: output.end() };
}

class TextOutput {
  readonly #chunks: Buffer[] = [];
  #text = '';

  write(text: string): void {
    this.#text += text;
    if (this.#text.length >= METRICS_LIMITS.chunkCharacters) this.#flush();
  }

  end(): Buffer {
    this.#flush();
    return Buffer.concat(this.#chunks);
  }

  #flush(): void {
    this.#chunks.push(Buffer.from(this.#text));
    this.#text = '';
  }
}
