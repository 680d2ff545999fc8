import { z } from 'zod';
import { TRANSPORT_NAMES } from '../transport/transport-name.js';
import { backend } from './backend-schema.js';
import { processKeys } from './process-schema.js';
import { checkName, route } from './route-schema.js';
import { ALWAYS, keys, list, oneOf, problemOf } from './values.js';
import { wants } from './words.js';

const backends = z
  .record(z.string(), backend, {
    error: wants('no mapping', 'backends by their names: { files: { target: … } }'),
  })
  .superRefine((given, ctx) => {
    for (const name of Object.keys(given)) {
      const message = name === '' ? 'a backend needs a name' : problemOf(() => checkName(name));
      if (message !== undefined)
        ctx.addIssue({ code: 'custom', path: [name], message, params: { isOfKey: true } });
    }
  }, ALWAYS);

const routingKeys = {
  transport: oneOf(TRANSPORT_NAMES)
    .optional()
    .describe("What speaks HTTP/2: http2 (node:http2, the default) or frames (this package's own engine)."),
  backends: backends.default({}).describe('The backends, by their names.'),
  routes: list(route, 'routes')
    .optional()
    .describe('Where calls go: to the first route that matches; none is UNIMPLEMENTED.'),
};

/** What calls are directed by. */
export const routingSchema = keys(routingKeys);

/** The whole config file. */
export const configSchema = keys({ ...processKeys, ...routingKeys });

/** A config file as it is written: an object of the same shape. {@link configJsonSchema} describes each key. */
export type ConfigInput = z.input<typeof configSchema>;

/**
 * What calls are directed by, as it is written: the keys `routes`, `backends` and `transport` of a config file, which
 * {@link configJsonSchema} describes.
 */
export type RoutingInput = z.input<typeof routingSchema>;

/** A config that has been checked, with all defaults; times and sizes are {@link Duration} and {@link Size}, paths as they were given. */
export type Config = z.output<typeof configSchema>;

/** What calls are directed by, checked, with all defaults: a {@link Config} is one, too. */
export type Routing = z.output<typeof routingSchema>;
