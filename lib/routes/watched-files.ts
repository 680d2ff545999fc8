import { readFileSync, type Stats, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';

/** How soon after the last look the next one begins. */
const INTERVAL_MILLISECONDS = 1000;

/** More than any list of authorities has; so that a path that leads elsewhere does no harm. */
const MAX_BYTES = 4 * 1024 * 1024;

/** What a file holds, or why nobody can say, in words to go on after its name. */
export type FileContent = Buffer | string;

/** Reads files; never rejects. */
export function readFiles(paths: readonly string[]): Promise<readonly FileContent[]> {
  return Promise.all(paths.map(contentOf));
}

/** Reads a file, and waits for it; never throws. */
export function readFileNow(path: string): FileContent {
  try {
    return refusalOf(statSync(path)) ?? readFileSync(path);
  } catch (error) {
    return problemOf(error);
  }
}

/**
 * Looks at files again and again, and tells of what they hold when that is something else than before. It goes by
 * content alone: Kubernetes swaps a symlink above them, and tools that write in place may leave time and size as they
 * were. Does not keep the process alive.
 */
export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #onChange: (contents: readonly FileContent[]) => void;
  #seen: readonly FileContent[];
  /** Undefined once it has been stopped. */
  #timer: NodeJS.Timeout | undefined;

  /** @param seen what {@link readFiles} has told of the paths */
  constructor(
    paths: readonly string[],
    seen: readonly FileContent[],
    onChange: (contents: readonly FileContent[]) => void,
  ) {
    this.#paths = paths;
    this.#seen = seen;
    this.#onChange = onChange;
    this.#timer = this.#lookLater();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookLater(): NodeJS.Timeout {
    return setTimeout(() => void this.#look(), INTERVAL_MILLISECONDS).unref();
  }

  async #look(): Promise<void> {
    const contents = await readFiles(this.#paths);
    if (this.#timer === undefined) return;
    this.#timer = this.#lookLater();
    if (contents.every((content, index) => isSame(content, this.#seen[index]!))) return;
    this.#seen = contents;
    this.#onChange(contents);
  }
}

async function contentOf(path: string): Promise<FileContent> {
  try {
    return refusalOf(await stat(path)) ?? (await readFile(path));
  } catch (error) {
    return problemOf(error);
  }
}

function refusalOf(found: Stats): string | undefined {
  // A pipe would be waited for.
  if (!found.isFile()) return 'is no file';
  return found.size > MAX_BYTES ? `is larger than ${MAX_BYTES} bytes` : undefined;
}

function problemOf(error: unknown): string {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return `cannot be read: ${READ_ERRORS[code] ?? code}`;
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'permission denied',
};

/** Whether it is the same, byte by byte, or as unreadable. */
export function isSame(one: FileContent, other: FileContent): boolean {
  return typeof one === 'string' || typeof other === 'string' ? one === other : one.equals(other);
}
