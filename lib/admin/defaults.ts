/** What the statistics of calls may hold, and how long they look back. */
export const STATISTICS_LIMITS = {
  /** Routes and methods that are told apart: 3 MB, and more rows than anybody reads. */
  maxMethods: 200,
  /** Kinds of failures that are told apart. */
  maxFailures: 50,
  /** Methods that one kind of failure names. */
  maxMethodsOfFailure: 5,
  /** Targets of shadows and secondaries that are told apart; a config has fewer, but a director may make up any. */
  maxTargets: 100,
  /** Longer texts are cut: clients and backends write them. */
  maxTextCharacters: 200,
  /** A failure that was not seen for so long is a new one when it comes again. */
  episodeSeconds: 300,
  /** What has had no call for so long gives its place to another when places are short. */
  idleSeconds: 60,
};

/** What the admin endpoint may cost. */
export const ADMIN_LIMITS = {
  /** A viewer or two, a scraper, probes, and some that hang. */
  maxConnections: 256,
  maxHeaderBytes: 16 * 1024,
  headersMilliseconds: 10_000,
  requestMilliseconds: 30_000,
  keepAliveMilliseconds: 60_000,
  /** How often it is looked for connections that are over these times. */
  checkMilliseconds: 5_000,
  /** The time that a client has to read an answer: a scrape's own limit is 10 s. */
  answerMilliseconds: 30_000,
  /** What answers may hold together until they are read; a scrape of 1000 methods takes some 10 MB. */
  heldAnswerBytes: 64 * 1024 * 1024,
  /** The time that answers have to get to clients when the endpoint is closed. */
  closeMilliseconds: 1000,
  /** Viewers of the page at once. */
  maxViewers: 64,
  /** A viewer who leaves so much unread until the next update is dropped. */
  maxViewerBytes: 1024 * 1024,
  /** And one who reads nothing for so many updates. */
  maxMissedUpdates: 15,
  updateMilliseconds: 1000,
  /** Running calls in `/calls`; and in an update of the page. */
  maxCalls: 1000,
  maxShownCalls: 50,
  /** Methods, backends and addresses of each in an update of the page: with all of them it has some 500 kB. */
  maxShownMethods: 100,
  maxShownBackends: 50,
  maxShownAddresses: 20,
};
