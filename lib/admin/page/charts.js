const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 120;
const HEIGHT = 24;

/** A small chart without words: what it shows stands beside it as numbers. */
export function chart(names) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  for (const name of ['ground', ...names]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', name);
    svg.append(path);
  }
  draw(svg, 0, `M0 ${HEIGHT - 0.5}H${WIDTH}`);
  return svg;
}

/** Calls by second, and the part of them that failed. */
export function drawCalls(svg, calls, failed) {
  const most = Math.max(1, ...calls);
  draw(svg, 1, steps(calls, most));
  draw(svg, 2, steps(failed, most));
}

/** Percentiles by five seconds: up to p99, and the line of p50. */
export function drawLatencies(svg, latencies) {
  const most = Math.max(0.001, ...latencies.map((each) => each?.[2] ?? 0));
  draw(
    svg,
    1,
    steps(
      latencies.map((each) => each?.[2] ?? 0),
      most,
    ),
  );
  draw(
    svg,
    2,
    steps(
      latencies.map((each) => each?.[1] ?? 0),
      most,
    ),
  );
  draw(
    svg,
    3,
    line(
      latencies.map((each) => each?.[0]),
      most,
    ),
  );
}

function draw(svg, index, path) {
  const element = svg.children[index];
  if (element.getAttribute('d') !== path) element.setAttribute('d', path);
}

/** An area of steps; what is little can be seen, too. */
function steps(values, most) {
  const width = WIDTH / values.length;
  let path = '';
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0) continue;
    const top = HEIGHT - Math.max(1.5, (values[i] / most) * (HEIGHT - 1));
    path += `M${round(i * width)} ${HEIGHT}V${round(top)}h${round(width * 1.02)}V${HEIGHT}z`;
  }
  return path;
}

function line(values, most) {
  const width = WIDTH / values.length;
  let path = '';
  for (let i = 0; i < values.length; i++) {
    if (values[i] === undefined) continue;
    const y = round(HEIGHT - Math.max(1, (values[i] / most) * (HEIGHT - 2)));
    path += `M${round(i * width)} ${y}h${round(width)}`;
  }
  return path;
}

function round(value) {
  return Math.round(value * 100) / 100;
}
