import { formatAddress, parseListenAddress } from '../port/address.js';

/**
 * Addresses to listen at that an earlier one is, too; by port 0 each gets a port of its own.
 *
 * @param addresses what are none are told elsewhere
 * @returns where each stands, and where the first of its kind does
 */
export function repeatedAddresses(addresses: readonly unknown[]): [index: number, first: number][] {
  const found: [number, number][] = [];
  const firsts = new Map<string, number>();
  for (const [index, given] of addresses.entries()) {
    const address = normalized(given);
    if (address === undefined) continue;
    const first = firsts.get(address);
    if (first === undefined) firsts.set(address, index);
    else found.push([index, first]);
  }
  return found;
}

function normalized(given: unknown): string | undefined {
  if (typeof given !== 'string') return undefined;
  try {
    const address = parseListenAddress(given);
    if ('path' in address) return formatAddress(address);
    return address.port === 0 ? undefined : formatAddress(address).toLowerCase();
  } catch {
    return undefined;
  }
}
