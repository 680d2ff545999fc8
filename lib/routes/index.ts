export type { ParsedConfig, ParseOptions } from './config-file.js';
export { parseConfig } from './config-file.js';
export { ConfigError, ConfigMistake } from './config-mistake.js';
export type { ConfigTls, TlsUsers } from './config-tls.js';
export { effectiveConfig } from './effective-config.js';
export { configJsonSchema } from './json-schema.js';
export { checkConfig, type LoadedConfig, type LoadOptions, loadConfig } from './load-config.js';
export { RouteDirector, type RouteDirectorOptions, routeDirector } from './route-director.js';
export type { Config, ConfigInput, Routing, RoutingInput } from './schema.js';
