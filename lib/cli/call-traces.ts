import type { CallObserver, RunningCall } from '../call/observer.js';
import type { Log } from './log.js';

/** What is traced. */
interface ObservedCalls {
  observe(observer: CallObserver): void;
  readonly runningCalls: readonly RunningCall[];
}

/**
 * Makes spans of calls if whoever started Node has registered an SDK, by `--import`; else the package need not be there,
 * and calls cost nothing for it.
 */
export async function traceCalls(calls: ObservedCalls, log: Log): Promise<void> {
  if (!(await isSdkRegistered())) return;
  const { tracing } = await import('../observe/tracing/index.js');
  tracing(calls);
  log.info('calls are traced by the OpenTelemetry SDK that is registered');
}

async function isSdkRegistered(): Promise<boolean> {
  let api: typeof import('@opentelemetry/api');
  try {
    api = await import('@opentelemetry/api');
  } catch {
    // An optional peer: it is there where an SDK is.
    return false;
  }
  const provider = api.trace.getTracerProvider();
  // Before an SDK is registered it is a proxy, without anything behind it.
  return (
    !(provider instanceof api.ProxyTracerProvider) ||
    provider.getDelegateTracer('grpc-frame-proxy') !== undefined
  );
}
