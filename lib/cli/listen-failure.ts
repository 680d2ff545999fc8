import { formatAddress, type ListenAddress } from '../port/address.js';

/** What to say when it cannot be listened at an address. */
export function listenFailure(address: ListenAddress, error: unknown): Error {
  return new Error(`cannot listen at ${formatAddress(address)}: ${reasonOf(error, address)}`);
}

function reasonOf(error: unknown, address: ListenAddress): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'path' in address ? 'the socket exists already' : 'the address is in use';
  if (code === 'EACCES') return 'permission denied';
  return message;
}
