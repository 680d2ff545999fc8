/**
 * The static table (RFC 7541 appendix A): name and value by turns, from index 1 on.
 */
const FIELDS: readonly string[] = [
  ...[':authority', ''],
  ...[':method', 'GET'],
  ...[':method', 'POST'],
  ...[':path', '/'],
  ...[':path', '/index.html'],
  ...[':scheme', 'http'],
  ...[':scheme', 'https'],
  ...[':status', '200'],
  ...[':status', '204'],
  ...[':status', '206'],
  ...[':status', '304'],
  ...[':status', '400'],
  ...[':status', '404'],
  ...[':status', '500'],
  ...['accept-charset', ''],
  ...['accept-encoding', 'gzip, deflate'],
  ...['accept-language', ''],
  ...['accept-ranges', ''],
  ...['accept', ''],
  ...['access-control-allow-origin', ''],
  ...['age', ''],
  ...['allow', ''],
  ...['authorization', ''],
  ...['cache-control', ''],
  ...['content-disposition', ''],
  ...['content-encoding', ''],
  ...['content-language', ''],
  ...['content-length', ''],
  ...['content-location', ''],
  ...['content-range', ''],
  ...['content-type', ''],
  ...['cookie', ''],
  ...['date', ''],
  ...['etag', ''],
  ...['expect', ''],
  ...['expires', ''],
  ...['from', ''],
  ...['host', ''],
  ...['if-match', ''],
  ...['if-modified-since', ''],
  ...['if-none-match', ''],
  ...['if-range', ''],
  ...['if-unmodified-since', ''],
  ...['last-modified', ''],
  ...['link', ''],
  ...['location', ''],
  ...['max-forwards', ''],
  ...['proxy-authenticate', ''],
  ...['proxy-authorization', ''],
  ...['range', ''],
  ...['referer', ''],
  ...['refresh', ''],
  ...['retry-after', ''],
  ...['server', ''],
  ...['set-cookie', ''],
  ...['strict-transport-security', ''],
  ...['transfer-encoding', ''],
  ...['user-agent', ''],
  ...['vary', ''],
  ...['via', ''],
  ...['www-authenticate', ''],
];

/** How many entries the static table has; the dynamic table's indices follow (RFC 7541 section 2.3.3). */
export const STATIC_TABLE_LENGTH = FIELDS.length / 2;

/** Names by index; index 0 is not used (RFC 7541 section 6.1). */
export const STATIC_NAMES: readonly string[] = ['', ...FIELDS.filter((_, i) => i % 2 === 0)];

/** Values by index. */
export const STATIC_VALUES: readonly string[] = ['', ...FIELDS.filter((_, i) => i % 2 === 1)];

/** What the static table knows about one name. */
export interface StaticName {
  /** The lowest index with this name. */
  readonly index: number;
  /** Indices by value. */
  readonly values: ReadonlyMap<string, number>;
}

function indexByName(): ReadonlyMap<string, StaticName> {
  const names = new Map<string, { index: number; values: Map<string, number> }>();
  for (let index = 1; index <= STATIC_TABLE_LENGTH; index++) {
    const name = STATIC_NAMES[index]!;
    let entry = names.get(name);
    if (entry === undefined) {
      entry = { index, values: new Map() };
      names.set(name, entry);
    }
    entry.values.set(STATIC_VALUES[index]!, index);
  }
  return names;
}

/** The static table by name, for the encoder. */
export const STATIC_TABLE: ReadonlyMap<string, StaticName> = indexByName();
