import type { Metrics } from '../../lib/observe/metrics/index.js';

type Labels = Readonly<Record<string, string>>;

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const FAMILY = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.*)$/;

/** Metrics as somebody reads them who takes only what the text format allows. */
export class Reading {
  /** By name and labels, in the order of their names. */
  readonly samples = new Map<string, number>();
  readonly types = new Map<string, string>();

  /** @throws Error for text that is not in Prometheus's format, or, if it ends so, in that of OpenMetrics */
  constructor(text: string) {
    const isOpenMetrics = text.endsWith('\n# EOF\n');
    const lines = (isOpenMetrics ? text.slice(0, -'# EOF\n'.length) : text).split('\n');
    if (lines.pop() !== '') throw new Error('the last line does not end');
    let family = '';
    for (const line of lines) {
      const head = FAMILY.exec(line);
      if (head !== null) {
        family = head[2]!;
        if (head[1] === 'TYPE') {
          if (this.types.has(family)) throw new Error(`${family} comes twice`);
          this.types.set(family, head[3]!);
        }
        continue;
      }
      this.#read(line, family, isOpenMetrics);
    }
    this.#checkHistograms();
  }

  static async of(metrics: Metrics, accept?: string): Promise<Reading> {
    return new Reading(String((await metrics.text(accept)).body));
  }

  /** One sample; undefined if there is none. */
  value(name: string, labels: Labels = {}): number | undefined {
    return this.samples.get(keyOf(name, labels));
  }

  /** All samples of a name that have these labels, by the values of the others. */
  all(name: string, having: Labels = {}): Record<string, number> {
    const found: Record<string, number> = {};
    for (const [key, value] of this.samples) {
      const [own, ...labels] = JSON.parse(key) as [string, ...[string, string][]];
      const isMeant = Object.entries(having).every(([label, text]) =>
        labels.some(([other, value]) => other === label && value === text),
      );
      if (own !== name || !isMeant) continue;
      const others = labels.filter(([label]) => !(label in having));
      found[others.map(([, text]) => text).join(' ')] = value;
    }
    return found;
  }

  /** The values of a label, each once. */
  values(labelName: string): string[] {
    const found = new Set<string>();
    for (const key of this.samples.keys()) {
      const [, ...labels] = JSON.parse(key) as [string, ...[string, string][]];
      for (const [name, value] of labels) if (name === labelName) found.add(value);
    }
    return [...found];
  }

  #read(line: string, family: string, isOpenMetrics: boolean): void {
    const sample = SAMPLE.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, name, pairs = '', value] = sample as unknown as [string, string, string | undefined, string];
    const type = this.types.get(family);
    const suffixes = type === 'histogram' ? '_(bucket|sum|count)' : '';
    const expected = type === 'counter' && isOpenMetrics ? `${family}_total` : `${family}${suffixes}`;
    if (!new RegExp(`^${expected}$`).test(name)) throw new Error(`${name} stands with ${family}`);
    const key = keyOf(name, labelsIn(pairs));
    if (this.samples.has(key)) throw new Error(`twice: ${line}`);
    if (!Number.isFinite(Number(value))) throw new Error(`no number: ${line}`);
    this.samples.set(key, Number(value));
  }

  #checkHistograms(): void {
    let last = 0;
    for (const [key, value] of this.samples) {
      const [name, ...labels] = JSON.parse(key) as [string, ...[string, string][]];
      if (!name.endsWith('_bucket')) continue;
      const le = labels.find(([label]) => label === 'le')?.[1];
      if (Number(le) === 0) last = 0;
      if (value < last) throw new Error(`falls: ${key}`);
      last = value;
      if (le !== '+Inf') continue;
      const rest = Object.fromEntries(labels.filter(([label]) => label !== 'le'));
      if (this.value(name.replace(/bucket$/, 'count'), rest) !== value) throw new Error(`no count: ${key}`);
    }
  }
}

function labelsIn(pairs: string): Labels {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < pairs.length) {
    const at = LABEL.lastIndex;
    const pair = LABEL.exec(pairs);
    if (pair === null) throw new Error(`no labels: ${pairs.slice(at)}`);
    labels[pair[1]!] = pair[2]!.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
  }
  return labels;
}

function keyOf(name: string, labels: Labels): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1))]);
}
