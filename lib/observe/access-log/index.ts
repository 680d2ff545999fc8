/**
 * A line of JSON for each call, in a file or on standard output.
 *
 *     import { accessLog } from 'grpc-frame-proxy/access-log';
 *
 *     const log = accessLog(server, { file: '/var/log/proxy.log' });
 *     process.on('SIGHUP', () => log.reopen());
 *
 * The fields of a line are in lib/OPERATIONS.md.
 *
 * @module grpc-frame-proxy/access-log
 */

import { checkObject } from '../../port/options.js';
import type { Server } from '../../server/server.js';
import { AccessLog } from './access-log.js';
import type { AccessLogOptions } from './options.js';

export type { AccessLog } from './access-log.js';
export type { OnDropped } from './drops.js';
export type { AccessLogOptions } from './options.js';

/**
 * Logs the calls of a server that begin from now on: a line of JSON at the end of each. Close it after the server.
 *
 * @throws TypeError or RangeError for a server or an option that makes no sense; Node's error if the file cannot be opened
 */
export function accessLog(
  server: Pick<Server, 'observe' | 'runningCalls'>,
  options: AccessLogOptions,
): AccessLog {
  checkObject('the server', 'a Server', server, 'observe');
  const log = new AccessLog(server, options);
  server.observe(log);
  return log;
}
