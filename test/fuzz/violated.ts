/** Throws what does not hold, and what tells why. */
export function violated(what: string, ...details: readonly unknown[]): never {
  throw new Error([what, ...details.map(short)].join(': '));
}

function short(detail: unknown): string {
  if (typeof detail === 'string') return detail;
  return JSON.stringify(detail, (_key, value: unknown) => {
    if (typeof value === 'string' && value.length > 200) return `${value.length} characters`;
    if (isBytes(value)) return `${value.data.length} bytes`;
    return value;
  });
}

/** A Buffer, as JSON would have it. */
function isBytes(value: unknown): value is { type: 'Buffer'; data: number[] } {
  return typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer';
}
