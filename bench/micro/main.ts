import { run } from 'mitata';
import { registerAccessLog } from './access-log.js';
import { stream } from './chunks.js';
import { framingTitle, GRPC_JS, LADDER, PARSER, registerFraming, SCANNER } from './framing.js';
import { registerMetadata } from './metadata.js';
import { registerMetrics } from './metrics.js';
import { registerPeek } from './peek.js';
import { registerStatistics } from './statistics.js';
import { registerStatus } from './status.js';
import { registerTracing } from './tracing.js';

registerFraming();
registerMetadata();
registerStatus();
registerPeek();
registerAccessLog();
registerTracing();
registerMetrics();
registerStatistics();

const filter = process.argv[2];
const { benchmarks } = await run(filter === undefined ? {} : { filter: new RegExp(filter) });

/** Nanoseconds of one iteration, by the order in which the benches were registered. */
function averages(name: string): number[] {
  return benchmarks
    .filter(({ alias }) => alias === name)
    .map(({ runs }) => runs[0]?.stats?.avg ?? Number.NaN);
}

console.log('\nframing, messages per second:\n');
console.log('| messages and chunks | scanner | parser | grpc-js | scanner ÷ grpc-js | parser ÷ grpc-js |');
console.log('| ------------------- | ------: | -----: | ------: | ----------------: | ---------------: |');
const [scanner, parser, grpcJs] = [SCANNER, PARSER, GRPC_JS].map(averages) as [number[], number[], number[]];
for (const [index, step] of LADDER.entries()) {
  if (grpcJs[index] === undefined) continue;
  const { messages } = stream(step.messageBytes, step.chunkBytes);
  const rate = (all: number[]): number => (messages / all[index]!) * 1e9;
  const cells = [rate(scanner), rate(parser), rate(grpcJs)].map((each) => each.toPrecision(3));
  cells.push((rate(scanner) / rate(grpcJs)).toFixed(1), (rate(parser) / rate(grpcJs)).toFixed(1));
  console.log(`| ${framingTitle(step).slice('framing: '.length)} | ${cells.join(' | ')} |`);
}
