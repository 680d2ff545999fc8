import { spawnSync } from 'node:child_process';

/** Why a command cannot be run, for {@link Peer.missing}. */
export function missingCommand(command: string, versionOption: string, install: string): string | undefined {
  const { error } = spawnSync(command, [versionOption], { stdio: 'ignore' });
  return error === undefined ? undefined : `not installed: ${install}`;
}
