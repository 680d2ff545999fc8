import { spawnSync } from 'node:child_process';

/** A Python that has gRPC's module, which is C-core; undefined if there is none. Debian's need not be the first. */
export function pythonWithGrpc(): string | undefined {
  return ['/usr/bin/python3', 'python3'].find(
    (python) => spawnSync(python, ['-c', 'import grpc']).status === 0,
  );
}
