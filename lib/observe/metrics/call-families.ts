import type { CallMetrics } from './call-metrics.js';
import { LATENCY_BOUNDS, type Measure, SIZE_BOUNDS } from './distribution.js';
import { counter, type Family, gauge, histogram, type Series } from './family.js';
import type { MethodMetrics } from './method-metrics.js';
import { COMPARED } from './target-metrics.js';

const METHOD = ['grpc_method'] as const;
const ATTEMPT = [...METHOD, 'grpc_target'] as const;
const SIZE = 'of messages as on the wire, without prefixes, in bytes';

/** The metrics that are made of calls. */
export function callFamilies(calls: CallMetrics): Family[] {
  return [...serverFamilies(calls), ...attemptFamilies(calls), ...ownFamilies(calls)];
}

/** gRFC A66, "Per-call server-side metrics", and messages while streams run. */
function serverFamilies(calls: CallMetrics): Family[] {
  const distribution = (measure: Measure) => (): Series[] => {
    const series: Series[] = [];
    for (const [method, metrics] of calls.methods()) metrics.calls.readInto(series, measure, [method]);
    return series;
  };
  const begun = (read: (metrics: MethodMetrics) => number) => (): Series[] =>
    Array.from(calls.methods())
      .filter(([, { started }]) => started > 0)
      .map(([method, metrics]) => ({ labels: [method], value: read(metrics) }));
  const status = [...METHOD, 'grpc_status'];
  return [
    counter(
      'grpc_server_call_started_total',
      'Calls that clients have begun.',
      METHOD,
      begun(({ started }) => started),
    ),
    histogram(
      'grpc_server_call_duration_seconds',
      'How long calls took, from their headers to their status.',
      status,
      LATENCY_BOUNDS,
      distribution('seconds'),
    ),
    histogram(
      'grpc_server_call_sent_total_compressed_message_size_bytes',
      `What was sent to the client, per call: ${SIZE}.`,
      status,
      SIZE_BOUNDS,
      distribution('sent'),
    ),
    histogram(
      'grpc_server_call_rcvd_total_compressed_message_size_bytes',
      `What came from the client, per call: ${SIZE}.`,
      status,
      SIZE_BOUNDS,
      distribution('received'),
    ),
    counter(
      'grpc_server_msg_received_total',
      'Messages that came from clients, those of running calls included.',
      METHOD,
      begun(({ told }) => told.received),
    ),
    counter(
      'grpc_server_msg_sent_total',
      'Messages that were sent to clients, those of running calls included.',
      METHOD,
      begun(({ told }) => told.sent),
    ),
  ];
}

/** gRFC A66, "Per-attempt client-side metrics". */
function attemptFamilies(calls: CallMetrics): Family[] {
  const distribution = (measure: Measure) => (): Series[] => {
    const series: Series[] = [];
    for (const [method, target, metrics] of calls.targets()) {
      metrics.attempts.readInto(series, measure, [method, target]);
    }
    return series;
  };
  const status = [...ATTEMPT, 'grpc_status'];
  return [
    counter('grpc_client_attempt_started_total', 'Attempts at calls to a destination.', ATTEMPT, () =>
      Array.from(calls.targets())
        .filter(([, , { started }]) => started > 0)
        .map(([method, target, { started }]) => ({ labels: [method, target], value: started })),
    ),
    histogram(
      'grpc_client_attempt_duration_seconds',
      'How long attempts took, the wait for a connection included.',
      status,
      LATENCY_BOUNDS,
      distribution('seconds'),
    ),
    histogram(
      'grpc_client_attempt_sent_total_compressed_message_size_bytes',
      `What was sent to the destination, per attempt: ${SIZE}.`,
      status,
      SIZE_BOUNDS,
      distribution('sent'),
    ),
    histogram(
      'grpc_client_attempt_rcvd_total_compressed_message_size_bytes',
      `What came from the destination, per attempt: ${SIZE}.`,
      status,
      SIZE_BOUNDS,
      distribution('received'),
    ),
  ];
}

function ownFamilies(calls: CallMetrics): Family[] {
  return [
    gauge('grpc_frame_proxy_calls_running', 'Calls that run.', [], () => [
      { labels: [], value: calls.callsRunning },
    ]),
    counter(
      'grpc_frame_proxy_shadow_calls_total',
      'Shadows of calls that have ended, and how.',
      ['grpc_target', 'result'],
      () =>
        Array.from(calls.shadows).flatMap(([target, counts]) =>
          Object.entries(counts).map(([result, value]) => ({ labels: [target, result], value })),
        ),
    ),
    counter(
      'grpc_frame_proxy_compare_total',
      "Answers that were compared with the primary's, and to what result.",
      [...ATTEMPT, 'result'],
      () =>
        Array.from(calls.targets()).flatMap(([method, target, { compared }]) =>
          COMPARED.filter((result) => compared[result] > 0).map((result) => ({
            labels: [method, target, result],
            value: compared[result],
          })),
        ),
    ),
    counter('grpc_frame_proxy_retries_total', 'Attempts after the first one.', ['grpc_target'], () =>
      retriesByTarget(calls),
    ),
    counter(
      'grpc_frame_proxy_peers_refused_total',
      "Clients' connections that were refused or ended for what the client did, and requests that are no gRPC.",
      ['reason'],
      () => Array.from(calls.refusals, ([reason, value]) => ({ labels: [reason], value })),
    ),
  ];
}

function retriesByTarget(calls: CallMetrics): Series[] {
  const retries = new Map<string, number>();
  for (const [, target, metrics] of calls.targets()) {
    if (metrics.started > 0) retries.set(target, (retries.get(target) ?? 0) + metrics.retries);
  }
  return Array.from(retries, ([target, value]) => ({ labels: [target], value }));
}
