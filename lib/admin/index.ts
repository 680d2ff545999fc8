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
