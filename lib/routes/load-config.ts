import { dirname } from 'node:path';
import { checkText, mistakesIn } from './config-file.js';
import { ConfigMistake, type ConfigPath } from './config-mistake.js';
import { ConfigTls } from './config-tls.js';
import type { Config } from './schema.js';
import { type FileContent, readFiles } from './watched-files.js';

/** How a config file is loaded. */
export interface LoadOptions {
  /** Whether something else says where calls go, so that the file need not have `routes`. Default false. */
  readonly hasPrimary?: boolean | undefined;
}

/** A config file and the files that it names, or all that is wrong with them. */
export type LoadedConfig = {
  /** @internal What the config file itself holds, or why it cannot be read: what a watch for its changes begins with. */
  readonly content: FileContent;
} & (
  | {
      /** With all defaults. */
      readonly config: Config;
      /** What the files hold that it names. */
      readonly tls: ConfigTls;
      /** The file's folder, which paths in it are relative to. */
      readonly folder: string;
      /** Undefined: nothing is wrong. */
      readonly mistakes?: undefined;
    }
  | {
      /** Undefined: there are mistakes. */
      readonly config?: undefined;
      /** Undefined: there are mistakes. */
      readonly tls?: undefined;
      /** Undefined: there are mistakes. */
      readonly folder?: undefined;
      /** At least one, in the order of the text. */
      readonly mistakes: readonly ConfigMistake[];
    }
);

/**
 * Reads a config file and the certificates, keys and authorities that it names. Never rejects.
 *
 * @param path of the file; relative to the working directory
 */
export async function loadConfig(path: string, { hasPrimary }: LoadOptions = {}): Promise<LoadedConfig> {
  const [content] = (await readFiles([path])) as [FileContent];
  const text = typeof content === 'string' ? undefined : decoded(content);
  if (text === undefined) {
    const message = typeof content === 'string' ? content : 'is no text in UTF-8';
    return { content, mistakes: [new ConfigMistake({ path: [], message }, path)] };
  }
  const folder = dirname(path);
  const { source, checked } = checkText(text, { file: path, hasPrimary });
  const nameOf = (key: ConfigPath): string => {
    const {
      file,
      line,
      column,
      path: name,
    } = new ConfigMistake({ path: key, message: '' }, path, source.placeOf(key, false));
    return `${file}:${line}:${column}: ${name}`;
  };
  const tls = await ConfigTls.read(source.value, folder, nameOf);
  const problems = [...(checked.problems ?? []), ...tls.problems];
  const mistakes = mistakesIn(source, problems, path);
  if (checked.config === undefined || mistakes.length > 0) return { content, mistakes };
  return { content, config: checked.config, tls, folder };
}

/**
 * All that is wrong with a config file and the files that it names, in the order of the text; empty if nothing is. Looks
 * no name up, and opens no socket. Never rejects.
 *
 * @param path of the file; relative to the working directory
 */
export async function checkConfig(path: string, options?: LoadOptions): Promise<readonly ConfigMistake[]> {
  return (await loadConfig(path, options)).mistakes ?? [];
}

function decoded(content: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return undefined;
  }
}
