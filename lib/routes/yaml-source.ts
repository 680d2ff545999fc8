import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  Parser,
} from 'yaml';
import type { ConfigPath, Place, Problem } from './config-mistake.js';
import { shown } from './words.js';

// YAML, of which JSON is a part, read so that no text takes long or much memory, and that places are known.

/** What a ConfigMap of Kubernetes holds at most; it takes some seconds at worst. */
const MAX_CHARACTERS = 1024 * 1024;

/** Deeper than any config: what reads YAML goes down by recursion, and V8 ends the process where a regular expression meets the stack's end. */
const MAX_DEPTH = 64;

/** What a text is cut into; a mistake can be found at each. */
const MAX_LEXEMES = 400_000;

/** Documents, and what stands between them. */
const MAX_TOKENS = 100;

/** Values, those that aliases stand for included. */
const MAX_VALUES = 200_000;

/** A text that has been read. */
export interface YamlSource {
  readonly value: unknown;
  /** What is wrong with it as YAML. If anything is, the value may lack parts. */
  readonly problems: readonly Problem[];
  /** Where a value stands, or its key; of what is not there, where that stands which lacks it. */
  placeOf(path: ConfigPath, isOfKey: boolean): Place;
}

/** Reads a text. Never throws. */
export function readYaml(text: string): YamlSource {
  const lines = new LineCounter();
  const reader = new Reader(lines);
  try {
    if (text.length > MAX_CHARACTERS)
      throw new UnreadableError(0, `is larger than ${MAX_CHARACTERS} characters`);
    const [document, ...others] = documentsIn(text, lines);
    if (others.length > 0) reader.tell(others[0]!.range[0], 'a second document begins here: give one');
    reader.read(document!);
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    reader.tell(error.offset, error.message);
  }
  return reader;
}

/** A text that is read no further. */
class UnreadableError extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

type ParsedDocument = Document.Parsed<ParsedNode>;

function documentsIn(text: string, lines: LineCounter): ParsedDocument[] {
  const composer = new Composer({
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
    // Whatever a %YAML directive says.
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    stringKeys: true,
    // Each key would be compared with all others.
    uniqueKeys: false,
  });
  return [...composer.compose(tokensOf(text, lines), true, text.length)] as ParsedDocument[];
}

function tokensOf(text: string, lines: LineCounter): CST.Token[] {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    if (parser.stack.length > MAX_DEPTH) throw new UnreadableError(parser.offset, `is nested too deeply`);
    if (++lexemes > MAX_LEXEMES) throw new UnreadableError(parser.offset, 'there is too much before this');
    if (tokens.length > MAX_TOKENS) throw new UnreadableError(parser.offset, 'there are too many documents');
  }
  tokens.push(...parser.end());
  return tokens;
}

/** Where something stands that is in a mapping or list, as offsets into the text. */
interface Entry {
  readonly key: number;
  readonly value: number;
}

type Entries = Map<string | number, Entry>;

class Reader implements YamlSource {
  value: unknown;
  readonly problems: Problem[] = [];
  readonly #lines: LineCounter;
  /** Of the mappings and lists that have been made. */
  readonly #entries = new WeakMap<object, Entries>();
  readonly #anchors = new Map<string, ParsedNode>();
  #root = 0;
  #values = 0;
  #aliases = 0;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  tell(offset: number, message: string, path: ConfigPath = []): void {
    this.problems.push({ path, message, place: this.#place(offset) });
  }

  /** @throws UnreadableError */
  read({ contents, errors, warnings }: ParsedDocument): void {
    for (const { pos, message } of [...errors, ...warnings]) this.tell(pos[0], message);
    // What they are of may be missing in part, or stand where it was not meant.
    if (errors.length > 0) return;
    if (contents === null) return;
    this.#root = contents.range[0];
    this.value = this.#valueOf(contents, []);
  }

  placeOf(path: ConfigPath, isOfKey: boolean): Place {
    let offset = this.#root;
    let value = this.value;
    for (const [index, part] of path.entries()) {
      const entry = isObject(value) ? this.#entries.get(value)?.get(part) : undefined;
      if (entry === undefined) break;
      offset = isOfKey && index === path.length - 1 ? entry.key : entry.value;
      value = Reflect.get(value as object, part);
    }
    return this.#place(offset);
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    // Without any line there is nothing to find a place in.
    return line === 0 ? { line: 1, column: 1 } : { line, column: col };
  }

  #valueOf(node: ParsedNode | null, path: ConfigPath): unknown {
    if (node === null) return null;
    const offset = node.range[0];
    if (++this.#values > MAX_VALUES)
      throw new UnreadableError(offset, 'there are too many values before this');
    // Aliases go deeper than the text does, or round in circles.
    if (path.length > MAX_DEPTH) throw new UnreadableError(offset, 'is nested too deeply');
    if (isAlias(node)) return this.#meantBy(node.source, offset, path);
    // An alias stands for what had its name last, in the order of the text.
    if (node.anchor !== undefined && this.#aliases === 0) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#mappingOf(node, path);
    if (isSeq(node)) {
      const list: unknown[] = [];
      const entries: Entries = new Map();
      this.#entries.set(list, entries);
      for (const [index, item] of (node.items as ParsedNode[]).entries()) {
        const start = item.range[0];
        entries.set(index, { key: start, value: start });
        list.push(this.#valueOf(item, [...path, index]));
      }
      return list;
    }
    return isScalar(node) ? node.value : undefined;
  }

  #meantBy(name: string, offset: number, path: ConfigPath): unknown {
    const node = this.#anchors.get(name);
    if (node === undefined) {
      this.tell(offset, `there is no anchor ${shown(name)} before this`, path);
      return undefined;
    }
    this.#aliases++;
    const value = this.#valueOf(node, path);
    this.#aliases--;
    return value;
  }

  #mappingOf(node: ParsedNode & { items: unknown[] }, path: ConfigPath): object {
    const mapping = {};
    const entries: Entries = new Map();
    this.#entries.set(mapping, entries);
    for (const pair of node.items as { key: ParsedNode; value: ParsedNode | null }[]) {
      const key = String((isScalar(pair.key) ? pair.key.value : undefined) ?? '');
      const start = pair.key.range[0];
      const at = [...path, key];
      const value = this.#valueOf(pair.value, at);
      if (entries.has(key)) {
        this.tell(start, 'is here twice', at);
        continue;
      }
      entries.set(key, { key: start, value: pair.value?.range[0] ?? start });
      // `__proto__` is a key like any other here.
      Object.defineProperty(mapping, key, { value, enumerable: true, writable: true, configurable: true });
    }
    return mapping;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
