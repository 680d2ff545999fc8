/**
 * An admin endpoint over HTTP: a live page, health for orchestrators, metrics, and what calls and backends are doing.
 *
 *     import { adminServer, processSource } from 'grpc-frame-proxy/admin';
 *     import { metrics } from 'grpc-frame-proxy/metrics';
 *
 *     const counted = metrics(server);
 *     const source = processSource({ server, backends: { files: conn }, metrics: (accept) => counted.text(accept) });
 *     console.log(`admin at ${await adminServer(source, { address: '127.0.0.1:9901' }).start()}`);
 *
 * Its paths are in lib/OPERATIONS.md. What several processes say is made one by {@link mergeStatistics},
 * {@link mergeBackends} and {@link mergeCalls}.
 *
 * @module grpc-frame-proxy/admin
 */

export { type AdminOptions, AdminServer, adminServer } from './admin-server.js';
export type { AdminSource, MaybePromise, MetricsText, Readiness, ReloadResult } from './admin-source.js';
export {
  type AddressJson,
  type BackendJson,
  backendsJson,
  mergeBackends,
  type NamedBackend,
} from './backends-json.js';
export { type CallJson, callsJson, mergeCalls } from './calls-json.js';
export { type ProcessSourceOptions, processSource } from './process-source.js';
export { CallStatistics, callStatistics, type ObservedServer } from './statistics/call-statistics.js';
export type { BucketCounts } from './statistics/latencies.js';
export { ageStatistics, mergeStatistics } from './statistics/merge.js';
export type {
  ComparedResult,
  FailureKind,
  MethodStatistics,
  StatisticsSnapshot,
  TargetStatistics,
  Told,
} from './statistics/snapshot.js';
