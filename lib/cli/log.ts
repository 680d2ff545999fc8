import { LOG_LEVELS, type LogFormat, type LogLevel } from './log-options.js';

/** What the command says of itself on standard error: a line per event, never one per call. */
export type Log = { readonly [L in LogLevel]: (line: string) => void };

export interface LogOptions {
  readonly format: LogFormat;
  /** What is less than this is not told. */
  readonly level: LogLevel;
  /** Who says it, where there are several processes. */
  readonly name: string | undefined;
}

/** @param write takes a line with its end */
export async function createLog(
  { format, level, name }: LogOptions,
  write: (line: string) => void,
): Promise<Log> {
  return format === 'json' ? jsonLog(level, name, write) : textLog(level, name, write);
}

async function jsonLog(
  level: LogLevel,
  name: string | undefined,
  write: (line: string) => void,
): Promise<Log> {
  // It is not small, and people read text.
  const { pino } = await import('pino');
  const logger = pino(
    {
      level,
      base: name === undefined ? {} : { process: name },
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(line.replace(COMMANDS, escaped)) },
  );
  return {
    error: (line) => logger.error(line),
    warn: (line) => logger.warn(line),
    info: (line) => logger.info(line),
    debug: (line) => logger.debug(line),
  };
}

function textLog(least: LogLevel, name: string | undefined, write: (line: string) => void): Log {
  const who = name === undefined ? '' : `${name}: `;
  const say = (level: LogLevel): ((line: string) => void) => {
    if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(least)) return () => {};
    const word = level === 'info' ? '' : `${level}: `;
    return (line) => write(`grpc-frame-proxy: ${word}${who}${oneLine(line)}\n`);
  };
  return { error: say('error'), warn: say('warn'), info: say('info'), debug: say('debug') };
}

/**
 * What a terminal obeys, and what turns the direction of text, wherever it comes from: C0 but for what JSON escapes, DEL, C1,
 * and Unicode's own lines, paragraphs and embeddings.
 */
const COMMANDS = /[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** An event is one line, also with a stack: nobody else's text can pass for another event. */
function oneLine(text: string): string {
  const joined = text.trimEnd().replace(/\s*[\r\n]+\s*/g, ' | ');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that are looked for.
  return joined.replace(/[\x00-\x1f]/g, '?').replace(COMMANDS, '?');
}
