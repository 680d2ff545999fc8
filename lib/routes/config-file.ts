import { bounded, type Checked, checkedConfig } from './checked-config.js';
import { ConfigMistake, type Problem } from './config-mistake.js';
import { type Config, configSchema } from './schema.js';
import { readYaml, type YamlSource } from './yaml-source.js';

/** How a config file is read. */
export interface ParseOptions {
  /** The file's name, which mistakes are told with; it is not read. */
  readonly file: string;
  /** Whether something else says where calls go, so that the text need not have `routes`. Default false. */
  readonly hasPrimary?: boolean | undefined;
}

/** A config, or all that is wrong with it. */
export type ParsedConfig =
  | {
      /** With all defaults. */
      readonly config: Config;
      /** Undefined: there is a config. */
      readonly mistakes?: undefined;
    }
  | {
      /** Undefined: there are mistakes. */
      readonly config?: undefined;
      /** At least one, in the order of the text. */
      readonly mistakes: readonly ConfigMistake[];
    };

/** A text that has been read and checked, and where things stand in it. */
export interface CheckedText {
  readonly source: YamlSource;
  readonly checked: Checked<Config>;
}

/**
 * Reads the text of a config file, YAML or JSON. Files that it names are not looked at: {@link loadConfig} does that, too.
 * Never throws; the time that it takes is bounded, whatever the text.
 */
export function parseConfig(text: string, options: ParseOptions): ParsedConfig {
  const { source, checked } = checkText(text, options);
  if (checked.problems === undefined) return { config: checked.config };
  return { mistakes: mistakesIn(source, checked.problems, options.file) };
}

/** The same, before mistakes are given places: there may be more to tell. */
export function checkText(text: string, { hasPrimary = false }: ParseOptions): CheckedText {
  const source = readYaml(text);
  const { value, problems } = source;
  if (value === undefined && problems.length > 0) return { source, checked: { problems: [] } };
  if (value === undefined || value === null) {
    const message = `is empty: give ${hasPrimary ? 'at least one key' : 'backends and routes'}`;
    return { source, checked: { problems: [{ path: [], message }] } };
  }
  const checked = checkedConfig<Config>(configSchema, value, !hasPrimary);
  if (problems.length > 0 && checked.problems === undefined) return { source, checked: { problems: [] } };
  return { source, checked };
}

/** All that is wrong with a text, and with what it says, in the order of the text. */
export function mistakesIn(
  source: YamlSource,
  problems: readonly Problem[],
  file: string,
): readonly ConfigMistake[] {
  return [...bounded(source.problems), ...problems]
    .map((problem) => {
      const place = problem.place ?? source.placeOf(problem.path, problem.isOfKey === true);
      return new ConfigMistake(problem, file, place);
    })
    .sort((a, b) => a.line! - b.line! || a.column! - b.column!);
}
