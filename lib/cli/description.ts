import type { Flags } from './options.js';
import type { Settings } from './settings.js';

/** What is told of how calls are taken and where they go, in one line. */
export function description({ config, tls }: Settings, flags: Flags): string {
  const wires = new Set(
    tls.listeners.map((files) => (files?.ca === undefined ? 'TLS' : 'TLS, with client certificates')),
  );
  const wire = tls.listeners.some((files) => files !== undefined) ? `${[...wires].join(' and ')}; ` : '';
  return `${wire}${flags.primary === undefined ? ofFile(config, flags) : ofFlags(flags)}`;
}

function ofFile({ routes = [], backends }: Settings['config'], { config }: Flags): string {
  const count = Object.keys(backends).length;
  return `${counted(routes.length, 'route')} to ${counted(count, 'backend')} by ${config}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function ofFlags({ primary, secondaries, shadows, shadowPercent = 100 }: Flags): string {
  const percent = shadowPercent < 100 ? ` (${shadowPercent} %)` : '';
  return [
    `primary ${primary}`,
    ...secondaries.map((target) => `secondary ${target}`),
    ...shadows.map((target) => `shadow ${target}${percent}`),
  ].join(', ');
}
