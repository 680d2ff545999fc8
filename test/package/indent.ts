import type { Plugin } from 'rollup';

interface Range {
  readonly start: number;
  readonly end: number;
}

/** The texts of templates, which may have lines of their own, in their order. */
function* templateTexts(node: unknown): Iterable<Range> {
  if (typeof node !== 'object' || node === null) return;
  const { type, start, end } = node as { type?: unknown; start?: unknown; end?: unknown };
  if (type === 'TemplateElement') yield { start: start as number, end: end as number };
  for (const part of Object.values(node)) yield* templateTexts(part);
}

/** Indents by tabs, where the compiler does by four spaces each: 2 % of the package. */
export function indentByTabs(): Plugin {
  return {
    name: 'indent-by-tabs',
    renderChunk(code) {
      const texts = [...templateTexts(this.parse(code))].filter(({ start, end }) =>
        code.slice(start, end).includes('\n'),
      );
      const isText = (at: number): boolean => texts.some(({ start, end }) => start < at && at <= end);
      const indented = code.replaceAll(/^(?: {4})+/gm, (spaces, at: number) =>
        isText(at) ? spaces : '\t'.repeat(spaces.length / 4),
      );
      return { code: indented, map: null };
    },
  };
}
