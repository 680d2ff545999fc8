/** What `JSON.stringify` leaves as it is though it is no letter: DEL, C1, and characters that turn or hide text. */
const UNSEEN = /[\x7f-\x9f\xad\p{Cf}\p{Zl}\p{Zp}]/gu;

/** JSON in which nothing commands the terminal that it is read at: clients and backends write much of it. */
export function jsonText(value: unknown): string {
  return (JSON.stringify(value) ?? 'null').replace(UNSEEN, escaped);
}

function escaped(character: string): string {
  let text = '';
  for (let i = 0; i < character.length; i++) {
    text += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }
  return text;
}
