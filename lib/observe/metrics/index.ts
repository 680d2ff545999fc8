/**
 * Metrics of a server's calls, for Prometheus.
 *
 *     import { metrics } from 'grpc-frame-proxy/metrics';
 *
 *     const counted = metrics(server, { backends: () => [['files', conn]] });
 *     const { contentType, body } = await counted.text();
 *
 * Their names are in lib/OPERATIONS.md. {@link Metrics.registry} is for `prom-client`, {@link WorkerMetrics} for an
 * application of several processes.
 *
 * @module grpc-frame-proxy/metrics
 */

export type { ObservedBackend } from './backend-metrics.js';
export type { Aggregator, FamilyHead, Series } from './family.js';
export { Metrics, type MetricsOptions, metrics, type ObservedServer, type Result } from './metrics.js';
export { MetricsTexts } from './metrics-texts.js';
export { type FamilySnapshot, type MetricsSnapshot, mergeSnapshots } from './snapshot.js';
export { type MetricsText, textOf } from './text.js';
export { WorkerMetrics, type WorkerMetricsOptions } from './worker-metrics.js';
