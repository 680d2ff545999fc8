// Text as it stands between the quotes of a JSON string, in printable ASCII alone: no terminal obeys it, no reader of
// Unicode stumbles over it, and a character is a byte. Much of it is what clients send.

/** What cannot stand as it is. With `u`, so that half of a surrogate pair is found as what it is. */
const SPECIAL = /[^\x20-\x7e]|["\\]/gu;

const IS_PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** @param maxLength of what is returned; the rest of the text is left out */
export function jsonText(text: string, maxLength: number): string {
  // What is far too long is cut before it is looked through.
  const start = text.length > maxLength ? text.slice(0, maxLength) : text;
  if (IS_PLAIN.test(start)) return start;
  const whole = start.replace(SPECIAL, escaped);
  return whole.length > maxLength ? cut(start, maxLength) : whole;
}

/** Character by character: an escape that is cut in two would be none. */
function cut(text: string, maxLength: number): string {
  let kept = '';
  for (const character of text) {
    const next = character.replace(SPECIAL, escaped);
    if (kept.length + next.length > maxLength) break;
    kept += next;
  }
  return kept;
}

function escaped(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  if (character.length === 2) return unit(character.charCodeAt(0)) + unit(character.charCodeAt(1));
  const code = character.charCodeAt(0);
  // Half of a surrogate pair stands for nothing: JSON that has it is refused by some.
  return code >= 0xd800 && code <= 0xdfff ? '\\ufffd' : unit(code);
}

function unit(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}

/** What is made of texts. Clients choose some of these, so that it forgets: what is used again, it keeps. */
export class TextCache<T> {
  readonly #make: (key: string) => T;
  #recent = new Map<string, T>();
  #older = new Map<string, T>();

  constructor(make: (key: string) => T) {
    this.#make = make;
  }

  of(key: string): T {
    const known = this.#recent.get(key);
    if (known !== undefined) return known;
    const text = this.#older.get(key) ?? this.#make(key);
    if (key.length > MAX_KEY_LENGTH) return text;
    if (this.#recent.size >= MAX_TEXTS) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, text);
    return text;
  }
}

const MAX_TEXTS = 500;
const MAX_KEY_LENGTH = 500;
