import { wrongValue } from '../../port/errors.js';
/** The key of a property or a map, or the index of an element. */
export type Label = string | number;

/** One step of a path: any key or index, any index, or this key. */
type Step =
  | { readonly name: 'any' }
  | { readonly name: 'index' }
  | { readonly name: 'key'; readonly key: string };

export type IgnoredPath = readonly Step[];

const ANY: Step = { name: 'any' };
const INDEX: Step = { name: 'index' };

/** Keys and `*` with dots between them, each with any number of `[]` behind it; `[]` may be first. */
const PATH = /^(?:[^.[\]]+|(?:\[\]))(?:\[\])*(?:\.[^.[\]]+(?:\[\])*)*$/;

/** @throws TypeError for what is no such path */
export function parseIgnoredPath(text: string): IgnoredPath {
  if (!PATH.test(text)) {
    throw wrongValue('a path to ignore', 'like created_at, items[].id or a.*.b', text);
  }
  return (text.match(/\[\]|[^.[\]]+/g) ?? []).map(
    (step): Step => (step === '[]' ? INDEX : step === '*' ? ANY : { name: 'key', key: step }),
  );
}

/** What of the ignored paths begins with the path to some place: for each, the steps that are left. */
export type PathsFrom = readonly IgnoredPath[];

const NONE: PathsFrom = [];

/** The same one step further; undefined: what is there is ignored. */
export function pathsBelow(paths: PathsFrom, label: Label): PathsFrom | undefined {
  if (paths.length === 0) return NONE;
  const below: IgnoredPath[] = [];
  for (const path of paths) {
    if (!matches(path[0]!, label)) continue;
    if (path.length === 1) return undefined;
    below.push(path.slice(1));
  }
  return below;
}

function matches(step: Step, label: Label): boolean {
  switch (step.name) {
    case 'any':
      return true;
    case 'index':
      return typeof label === 'number';
    case 'key':
      return step.key === label;
  }
}
