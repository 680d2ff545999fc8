/**
 * Routes and backends as the command's config file has them, for a server of your own.
 *
 *     import { Server, transparentHandler } from 'grpc-frame-proxy';
 *     import { routeDirector } from 'grpc-frame-proxy/routes';
 *
 *     const routed = routeDirector({
 *       backends: { files: { target: 'dns:///files.example:50051' }, next: { target: 'next.example:50051' } },
 *       routes: [{ match: { service: 'storage.Files' }, primary: 'files', shadows: ['next'], timeout: '5s' }],
 *     });
 *     const server = new Server({ unknownServiceHandler: transparentHandler(routed.director) });
 *     await server.listen('0.0.0.0:50051');
 *
 * The keys are described by {@link configJsonSchema}, and with an example in lib/OPERATIONS.md. {@link loadConfig} reads a
 * file and the certificates that it names; {@link RouteDirector.update} changes what is served without a restart.
 *
 * @module grpc-frame-proxy/routes
 */

export type { ParsedConfig, ParseOptions } from './config-file.js';
export { parseConfig } from './config-file.js';
export { ConfigError, type ConfigMistake } from './config-mistake.js';
export type { ConfigTls, TlsUsers } from './config-tls.js';
export type { Duration } from './duration.js';
export { effectiveConfig } from './effective-config.js';
export { configJsonSchema } from './json-schema.js';
export { checkConfig, type LoadedConfig, type LoadOptions, loadConfig } from './load-config.js';
export { RouteDirector, type RouteDirectorOptions, routeDirector } from './route-director.js';
export type { Config, ConfigInput, Routing, RoutingInput } from './schema.js';
export type { Size } from './size.js';
export type { OnTlsChange } from './tls-files.js';
