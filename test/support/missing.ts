import { spawnSync } from 'node:child_process';

/** Why a test that needs these programs cannot run here. */
export function missing(...programs: string[]): string | false {
  const absent = programs.filter((program) => spawnSync(program, ['--help']).error !== undefined);
  return absent.length > 0 && `not installed: ${absent.join(', ')}`;
}
