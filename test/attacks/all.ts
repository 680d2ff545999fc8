import type { Attack } from './attack.js';
import { floodAttacks } from './floods.js';
import { halfOpenAttacks } from './half-open.js';
import { hostileBackendAttacks } from './hostile-backends.js';
import { resetAttacks } from './resets.js';
import { slowReaderAttacks } from './slow-readers.js';
import { uploadAttacks } from './uploads.js';

export const ATTACKS: readonly Attack[] = [
  ...uploadAttacks,
  ...slowReaderAttacks,
  ...resetAttacks,
  ...floodAttacks,
  ...halfOpenAttacks,
  ...hostileBackendAttacks,
];

/** @throws Error that names those there are */
export function attackOf(name: string): Attack {
  const attack = ATTACKS.find((known) => known.name === name);
  if (attack === undefined) {
    throw new Error(`no attack ${name}; there are: ${ATTACKS.map((known) => known.name).join(', ')}`);
  }
  return attack;
}
