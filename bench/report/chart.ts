import type { Summary } from '../measure/summary.js';
import { TRANSPORTS } from '../peers/transports.js';
import { describe } from './machine.js';
import type { Results } from './results.js';
import { figure } from './table.js';

const WIDTH = 860;
const LABEL_WIDTH = 110;
const VALUE_WIDTH = 160;
const BAR_HEIGHT = 16;
const ROW_HEIGHT = 21;
const TITLE_HEIGHT = 34;
const MARGIN = 20;

/** Opaque in neither theme: the page's own background shows. */
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 } .small { font-size: 11px; fill: #57606a } .failed { fill: #cf222e }
  .ours { fill: #1a7f64 } .theirs { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .failed { fill: #ff7b72 }
    .ours { fill: #3fb68b } .theirs { fill: #6e7681 }
  }`;

/** CPU per call of each peer, a panel of bars for each case: shorter is better. */
export function chart(results: Results): string {
  const parts: string[] = [];
  let y = MARGIN + 14;
  parts.push(text(MARGIN, y, 'CPU of the proxy process per call, in µs: shorter is better', 'title'));
  y += 16;
  parts.push(text(MARGIN, y, describe(results), 'small'));
  for (const { name, title } of results.cases) {
    const summaries = results.summaries.filter((summary) => summary.case === name);
    if (summaries.length === 0) continue;
    y += TITLE_HEIGHT;
    parts.push(text(MARGIN, y, title, 'title'));
    y += 8;
    const most = Math.max(...summaries.map((summary) => summary.cpuMicrosecondsPerCall));
    for (const summary of summaries) {
      parts.push(bar(summary, y, most));
      y += ROW_HEIGHT;
    }
  }
  const height = y + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>CPU per call of grpc-frame-proxy and its peers</title><style>${STYLE}</style>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function bar(summary: Summary, y: number, most: number): string {
  const { peer, cpuMicrosecondsPerCall: microseconds, cpuRatio, failed } = summary;
  const room = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH;
  const width = Math.max(1, (microseconds / most) * room);
  const left = MARGIN + LABEL_WIDTH;
  const ours = TRANSPORTS.some((transport) => peer === transport || peer === `${transport}-peek`);
  const ratio = cpuRatio === undefined ? '' : ` (${cpuRatio.toFixed(2)}×)`;
  const label = `${figure(microseconds)}${ratio}${failed > 0 ? ` ${failed} calls failed` : ''}`;
  const baseline = y + BAR_HEIGHT - 4;
  return [
    text(left - 8, baseline, peer, failed > 0 ? 'failed' : '', 'end'),
    `<rect class="${ours ? 'ours' : 'theirs'}" x="${left}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
    text(left + width + 6, baseline, label, failed > 0 ? 'failed' : 'small'),
  ].join('');
}

function text(x: number, y: number, content: string, style: string, anchor = 'start'): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" class="${style}" text-anchor="${anchor}">${escaped}</text>`;
}
