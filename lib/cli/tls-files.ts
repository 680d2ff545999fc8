import type { SecureContextOptions } from 'node:tls';
import { createSecureContext, SecureContextError } from '../transport/secure-context.js';
import { UsageError } from './usage-error.js';
import { type FileContent, readFiles, WatchedFiles } from './watched-files.js';

/** A file, and the option that names it. */
export interface OptionFile {
  readonly option: string;
  readonly path: string;
}

/** Where one side of TLS has its certificate, its key, and the authorities of its peers from. */
export interface TlsPaths {
  readonly cert: OptionFile | undefined;
  readonly key: OptionFile | undefined;
  readonly ca: OptionFile | undefined;
}

/** TLS by files: what they hold, and what they hold later on. */
export class TlsFiles {
  /** What they held when they were read. */
  readonly options: SecureContextOptions;
  readonly #files: readonly File[];
  readonly #contents: readonly FileContent[];
  #watched: WatchedFiles | undefined;

  private constructor(files: readonly File[], contents: readonly FileContent[]) {
    this.#files = files;
    this.#contents = contents;
    this.options = usableOptions(files, contents);
  }

  /** @throws UsageError that names the option and the file, and says what is wrong */
  static async read(paths: TlsPaths): Promise<TlsFiles> {
    const files = Object.entries(paths as unknown as Record<string, OptionFile | undefined>).flatMap(
      ([name, file]) => (file === undefined ? [] : [{ name, ...file }]),
    );
    return new TlsFiles(files, await readFiles(files.map(({ path }) => path)));
  }

  /**
   * From now on what they hold is used when it changes, unless it is of no use: a certificate that is written before its
   * key, say. Then what was used stays until they fit.
   */
  watch(use: (options: SecureContextOptions) => void, log: (line: string) => void): void {
    if (this.#files.length === 0) return;
    const paths = this.#files.map(({ path }) => path);
    const names = this.#files.map(({ option, path }) => `${option} ${JSON.stringify(path)}`).join(', ');
    this.#watched = new WatchedFiles(paths, this.#contents, (contents) => {
      try {
        use(usableOptions(this.#files, contents));
      } catch (error) {
        log(`${(error as Error).message}; what was read before stays in use`);
        return;
      }
      log(`changed, and used from the next TLS handshake on: ${names}`);
    });
  }

  /** Watches no more. */
  stop(): void {
    this.#watched?.stop();
  }
}

/** An {@link OptionFile} and the TLS option that it gives. */
interface File extends OptionFile {
  readonly name: string;
}

/** @throws UsageError */
function usableOptions(files: readonly File[], contents: readonly FileContent[]): SecureContextOptions {
  const options: Record<string, Buffer> = {};
  for (const [index, file] of files.entries()) {
    const content = contents[index]!;
    if (typeof content === 'string') throw mistake(file, content);
    options[file.name] = content;
  }
  // To look at nothing would take the time of reading the system's authorities.
  if (files.length === 0) return options;
  try {
    createSecureContext(options);
  } catch (error) {
    if (!(error instanceof SecureContextError)) throw error;
    throw mistake(files.find(({ name }) => name === error.option) ?? files[0]!, error.problem);
  }
  return options;
}

function mistake({ option, path }: File, problem: string): UsageError {
  return new UsageError(`${option}: ${JSON.stringify(path)} ${problem}`);
}
