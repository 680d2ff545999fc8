export type { ObservedBackend } from './backend-metrics.js';
export type { Aggregator, FamilyHead, Series } from './family.js';
export { Metrics, type MetricsOptions, metrics, type ObservedServer, type Result } from './metrics.js';
export { MetricsTexts } from './metrics-texts.js';
export { type FamilySnapshot, type MetricsSnapshot, mergeSnapshots } from './snapshot.js';
export { type MetricsText, textOf } from './text.js';
export { WorkerMetrics, type WorkerMetricsOptions } from './worker-metrics.js';
