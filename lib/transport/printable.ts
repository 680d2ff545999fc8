/** A peer's text with nothing in it that a terminal, or a header field, would take for more than a letter. */
export function printable(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replace(/[^\x20-\x7e]/g, '?');
}
