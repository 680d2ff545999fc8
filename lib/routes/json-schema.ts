import { z } from 'zod';
import { configSchema } from './schema.js';

/**
 * The JSON Schema (draft 7, which editors know) of a config file as it is written, with a description of each key: for
 * `# yaml-language-server: $schema=…`.
 */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-07' });
}
