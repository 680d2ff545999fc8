import type { z } from 'zod';
import { type ConfigPath, type Problem, pathText } from './config-mistake.js';
import { repeatedAddresses } from './repeated-addresses.js';
import { knownKeys } from './values.js';
import { unknownBackend, unknownKey } from './words.js';

/** What is told of one config; a file may have any number of mistakes. */
const MAX_PROBLEMS = 1000;

/** Mistaken names of backends for which it is guessed what was meant: each is compared with all names that there are. */
const MAX_GUESSES = 20;

/** Deeper than any key stands. */
const MAX_DEPTH = 10;

/** A config that has been checked, or what is wrong with it. */
export type Checked<T> =
  | { readonly config: T; readonly problems?: undefined }
  | { readonly config?: undefined; readonly problems: readonly Problem[] };

/** Checks a config by its schema, and what the schema cannot say: all that is wrong is told. */
export function checkedConfig<T>(schema: z.ZodType<T>, given: unknown, needsRoutes: boolean): Checked<T> {
  const result = schema.safeParse(given);
  const problems = [...(result.success ? [] : result.error.issues.flatMap((issue) => problemsOf(issue, [])))];
  addPrototypes(problems, given, [], new Set(problems.map(({ path }) => pathText(path))));
  if (isMapping(given)) {
    addUnknownBackends(problems, given);
    addRepeatedNames(problems, given);
    addRepeatedAddresses(problems, given);
    if (needsRoutes && given.routes === undefined) {
      problems.push({
        path: ['routes'],
        message: 'is missing: give at least one route, as { match: {}, primary: … }',
      });
    }
  }
  if (problems.length > 0) return { problems: bounded(problems) };
  return { config: result.data as T };
}

/** No more than are worth reading. */
export function bounded(problems: readonly Problem[]): Problem[] {
  if (problems.length <= MAX_PROBLEMS) return [...problems];
  const rest = { path: [], message: `${problems.length - MAX_PROBLEMS} more mistakes are not told` };
  return [...problems.slice(0, MAX_PROBLEMS), rest];
}

type Issue = z.core.$ZodIssue;

function problemsOf(issue: Issue, above: ConfigPath): Problem[] {
  const path = [...above, ...(issue.path as ConfigPath)];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: unknownKey(key, knownKeys(issue.message)),
        isOfKey: true,
      }));
    case 'invalid_union': {
      // One of its forms is meant if the value is of that type at all.
      const meant = issue.errors.filter((issues) => !issues.some(isOfOtherType));
      if (meant.length === 1) return meant[0]!.flatMap((each) => problemsOf(each, path));
      return [{ path, message: issue.message }];
    }
    case 'custom':
      return [{ path, message: issue.message, isOfKey: issue.params?.isOfKey === true }];
    default:
      return [{ path, message: issue.message }];
  }
}

function isOfOtherType(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_union') return issue.errors.every((issues) => issues.some(isOfOtherType));
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

/** Keys that would be an object's prototype are left out without a word by much that handles objects. */
function addPrototypes(
  problems: Problem[],
  value: unknown,
  path: ConfigPath,
  told: ReadonlySet<string>,
): void {
  if (typeof value !== 'object' || value === null || path.length > MAX_DEPTH) return;
  const isList = Array.isArray(value);
  for (const [key, each] of Object.entries(value)) {
    const place = [...path, isList ? Number(key) : key];
    if (key !== '__proto__') addPrototypes(problems, each, place, told);
    else if (!told.has(pathText(place))) {
      problems.push({ path: place, message: 'cannot be a name', isOfKey: true });
    }
  }
}

/** Where a route names a backend that there is none of. */
function addUnknownBackends(problems: Problem[], { backends, routes }: Record<string, unknown>): void {
  const names = isMapping(backends) ? Object.keys(backends) : [];
  const known = new Set(names);
  let guesses = 0;
  for (const [path, name] of backendNames(routes)) {
    if (name === '' || known.has(name) || problems.length > MAX_PROBLEMS) continue;
    problems.push({ path, message: unknownBackend(name, names, ++guesses <= MAX_GUESSES) });
  }
}

/** The backends that routes name, and where. */
function* backendNames(routes: unknown): Generator<[path: ConfigPath, name: string]> {
  if (!Array.isArray(routes)) return;
  for (const [index, route] of routes.entries()) {
    if (!isMapping(route)) continue;
    for (const key of ['primary', 'secondaries', 'shadows']) {
      const given = route[key];
      const path = ['routes', index, key];
      if (typeof given === 'string' && key === 'primary') yield [path, given];
      if (!Array.isArray(given)) continue;
      for (const [at, each] of given.entries()) {
        if (typeof each === 'string' && key !== 'primary') yield [[...path, at], each];
        else if (isMapping(each) && typeof each.backend === 'string') {
          yield [[...path, at, 'backend'], each.backend];
        }
      }
    }
  }
}

/** Names that an earlier route has. */
function addRepeatedNames(problems: Problem[], { routes }: Record<string, unknown>): void {
  const first = new Map<string, number>();
  for (const [index, route] of (Array.isArray(routes) ? routes : []).entries()) {
    const name = isMapping(route) ? route.name : undefined;
    if (typeof name !== 'string' || name === '') continue;
    const other = first.get(name);
    if (other === undefined) first.set(name, index);
    else {
      const message = `is the name of routes[${other}], too: give each its own`;
      problems.push({ path: ['routes', index, 'name'], message });
    }
  }
}

/** Addresses of `listen`, and that of `admin`, that another one is: only one can be listened at. */
function addRepeatedAddresses(problems: Problem[], { listen = [], admin }: Record<string, unknown>): void {
  const listeners: readonly unknown[] = Array.isArray(listen) ? listen : [listen];
  const places = listeners.map(
    (_, index): ConfigPath => (listeners === listen ? ['listen', index] : ['listen']),
  );
  places.push(['admin']);
  const given = [...listeners, admin].map((each) => (isMapping(each) ? each.address : each));
  for (const [index, first] of repeatedAddresses(given)) {
    const message = `is the address of ${pathText(places[first]!)}, too: give each its own`;
    problems.push({ path: places[index]!, message });
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
