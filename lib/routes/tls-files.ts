import type { SecureContextOptions } from 'node:tls';
import { createSecureContext, SecureContextError } from '../transport/secure-context.js';
import { type FileContent, readFileNow, readFiles, WatchedFiles } from './watched-files.js';

/** A file, and the option or the key of a config that names it. */
export interface NamedFile {
  readonly name: string;
  readonly path: string;
}

/** Where one side of TLS has its certificate, its key, and the authorities of its peers from. */
export interface TlsPaths {
  readonly cert?: NamedFile | undefined;
  readonly key?: NamedFile | undefined;
  readonly ca?: NamedFile | undefined;
}

/** What is wrong with a file that is named. */
export interface FileProblem {
  readonly file: NamedFile;
  /** In words that begin with the path. */
  readonly message: string;
}

/** TLS cannot be spoken by these files: the message says by which, who named it, and what is wrong. */
export class TlsFilesError extends Error {}

/**
 * Is told of a change of the files, and whether it could be used.
 *
 * @param line for a log: which files, who names them, and what is wrong if they are of no use
 */
export type OnTlsChange = (line: string, result: 'ok' | 'failed') => void;

/** TLS by files: what they hold, and what they hold later on. */
export class TlsFiles {
  /** What they hold, as far as they are of use: all of it where there are no {@link problems}. */
  readonly options: SecureContextOptions;
  readonly problems: readonly FileProblem[];
  readonly #files: readonly File[];
  readonly #contents: readonly FileContent[];
  #watched: WatchedFiles | undefined;

  private constructor(files: readonly File[], contents: readonly FileContent[]) {
    this.#files = files;
    this.#contents = contents;
    const { options, problems } = examined(files, contents);
    this.options = options;
    this.problems = problems;
  }

  /** Never rejects: {@link problems} says what is wrong. */
  static async examine(paths: TlsPaths): Promise<TlsFiles> {
    const files = filesOf(paths);
    return new TlsFiles(files, await readFiles(files.map(({ path }) => path)));
  }

  /** The same, at once. */
  static examineNow(paths: TlsPaths): TlsFiles {
    const files = filesOf(paths);
    return new TlsFiles(
      files,
      files.map(({ path }) => readFileNow(path)),
    );
  }

  /** @throws TlsFilesError */
  static async read(paths: TlsPaths): Promise<TlsFiles> {
    const read = await TlsFiles.examine(paths);
    throwFirst(read.problems);
    return read;
  }

  /**
   * From now on what they hold is used when it changes, unless it is of no use: a certificate that is written before its
   * key, say. Then what was used stays until they fit.
   */
  watch(use: (options: SecureContextOptions) => void, log: OnTlsChange): void {
    if (this.#files.length === 0) return;
    const paths = this.#files.map(({ path }) => path);
    const names = this.#files.map(({ name, path }) => `${name} ${JSON.stringify(path)}`).join(', ');
    this.#watched = new WatchedFiles(paths, this.#contents, (contents) => {
      try {
        const { options, problems } = examined(this.#files, contents);
        throwFirst(problems);
        use(options);
      } catch (error) {
        log(`${(error as Error).message}; what was read before stays in use`, 'failed');
        return;
      }
      log(`changed, and used from the next TLS handshake on: ${names}`, 'ok');
    });
  }

  /** From now on a change of what they hold, of use or not, is told. */
  watchContents(onChange: () => void): void {
    const paths = this.#files.map(({ path }) => path);
    this.#watched = new WatchedFiles(paths, this.#contents, onChange);
  }

  /** Watches no more. */
  stop(): void {
    this.#watched?.stop();
  }
}

/** A {@link NamedFile} and the TLS option that it gives. */
interface File extends NamedFile {
  readonly option: string;
}

function filesOf({ cert, key, ca }: TlsPaths): File[] {
  return Object.entries({ cert, key, ca }).flatMap(([option, file]) =>
    file === undefined ? [] : [{ option, ...file }],
  );
}

interface Examined {
  readonly options: SecureContextOptions;
  readonly problems: readonly FileProblem[];
}

function examined(files: readonly File[], contents: readonly FileContent[]): Examined {
  const options: Record<string, Buffer> = {};
  const problems: FileProblem[] = [];
  for (const [index, file] of files.entries()) {
    const content = contents[index]!;
    if (typeof content === 'string') problems.push(problemWith(file, content));
    else options[file.option] = content;
  }
  // Of half a pair there is nothing to say: that the other cannot be read is told, and that it is not named by who does.
  const { cert, key, ...rest } = options;
  const looked = cert !== undefined && key !== undefined ? options : rest;
  // To look at nothing would take the time of reading the system's authorities.
  if (Object.keys(looked).length === 0) return { options, problems };
  try {
    createSecureContext(looked);
  } catch (error) {
    if (!(error instanceof SecureContextError)) throw error;
    const file = files.find(({ option }) => option === error.option) ?? files[0]!;
    problems.push(problemWith(file, error.problem));
  }
  return { options, problems };
}

function problemWith(file: NamedFile, problem: string): FileProblem {
  return { file, message: `${JSON.stringify(file.path)} ${problem}` };
}

/** @throws TlsFilesError */
function throwFirst([first]: readonly FileProblem[]): void {
  if (first !== undefined) throw new TlsFilesError(`${first.file.name}: ${first.message}`);
}
