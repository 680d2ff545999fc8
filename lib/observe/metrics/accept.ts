/** A form of Prometheus's text. */
export type TextFormat = 'prometheus' | 'openmetrics';

export const CONTENT_TYPES: Record<TextFormat, string> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** The form that an Accept header asks for: OpenMetrics only where it is named, and no less wanted than text. */
export function formatFor(accept: string | undefined): TextFormat {
  let openmetrics = 0;
  let text = 0;
  for (const range of accept?.split(',') ?? []) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const quality = qualityOf(parameters);
    if (type === 'application/openmetrics-text' && isKnownVersion(parameters)) {
      openmetrics = Math.max(openmetrics, quality);
    } else if (type === 'text/plain' || type === 'text/*') {
      text = Math.max(text, quality);
    }
  }
  return openmetrics > 0 && openmetrics >= text ? 'openmetrics' : 'prometheus';
}

function qualityOf(parameters: readonly string[]): number {
  const text = parameters.find((parameter) => parameter.startsWith('q='))?.slice('q='.length);
  if (text === undefined) return 1;
  const quality = Number(text);
  return quality >= 0 && quality <= 1 ? quality : 0;
}

/** "version=1.0.0" is what is written here; who names none takes that. */
function isKnownVersion(parameters: readonly string[]): boolean {
  const version = parameters.find((parameter) => parameter.startsWith('version='));
  return version === undefined || version === 'version=1.0.0';
}
