import type { SecureContextOptions } from 'node:tls';
import type { Config } from '../routes/index.js';

/** All that the processes of the command run by: plain data, to be sent to workers. */
export interface Settings {
  /** Flags and file together. */
  readonly config: Config;
  /** What paths in it are relative to. */
  readonly folder: string;
  /** What the files of the config hold. */
  readonly tls: SettingsTls;
  /** Compares the answers of all secondaries and shadows with the primary's. */
  readonly comparesAll: boolean;
  /** The methods that routes name, `package.Service/Method`. */
  readonly methods: readonly string[];
}

export interface SettingsTls {
  /** By the place among the addresses; undefined: cleartext. */
  readonly listeners: readonly (SecureContextOptions | undefined)[];
  /** By the name of the backend. */
  readonly backends: ReadonlyMap<string, SecureContextOptions>;
}
