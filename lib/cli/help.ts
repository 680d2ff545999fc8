import { LOAD_BALANCING } from '../client/channel/load-balancing.js';
import { DEFAULT_LISTEN } from './flag-config.js';
import { LOG_FORMATS, LOG_LEVELS } from './log-options.js';

export const HELP = `grpc-frame-proxy: a transparent gRPC reverse proxy

Usage: grpc-frame-proxy [--config FILE] [--check] [--listen ADDRESS]… [--primary TARGET] [--secondary TARGET]…
                        [--shadow TARGET]… [--shadow-percent N] [--compare] [--load-balancing POLICY]
                        [--transport http2|frames] [--admin ADDRESS] [--access-log FILE] [--health own|forward]
                        [--workers N|auto] [--drain-timeout DURATION] [--log-format text|json] [--log-level LEVEL]
                        [--tls-cert FILE --tls-key FILE [--tls-client-ca FILE]]
                        [--backend-ca FILE] [--backend-cert FILE --backend-key FILE]
                        | --config-schema | --help | --version

Where calls go

  --config FILE       a file in YAML or JSON that says all of this and more: backends and routes. A flag that says the
                      same as a key of it overrides it. It is read again when it changes, and on SIGHUP
  --check             says whether the flags and the file make sense, and does no more: exit 0, or 2
  --config-schema     prints the JSON Schema of the file, for editors
  --listen ADDRESS    where to take calls: HOST:PORT, :PORT (all interfaces) or unix:/PATH; can be repeated.
                      Default ${DEFAULT_LISTEN}
  --primary TARGET    the backend that answers: http://HOST:PORT or HOST:PORT (HTTP/2 without TLS),
                      https://HOST:PORT, unix:/PATH, dns:[//SERVER/]HOST:PORT, ipv4:ADDRESS:PORT,… or
                      ipv6:[ADDRESS]:PORT,…. Without it and a config, demo backends are started
  --secondary TARGET  a backend that gets every call, too, and must succeed, too; its answers are dropped.
                      Can be repeated
  --shadow TARGET     a backend that gets every call, too, and can neither fail nor delay it. Can be repeated
  --shadow-percent N  the part of the calls that each shadow gets, drawn for each call: from 0 to 100. Default 100
  --compare           says on standard error where answers of secondaries and shadows differ from the primary's
  --load-balancing POLICY
                      how calls are spread over a backend's addresses: ${LOAD_BALANCING.join(', ')}.
                      Default round_robin
  --transport NAME    what speaks HTTP/2: http2 (node:http2) or frames (this package's own engine).
                      Default http2
  --demo-load         the demo backends are called a little, so that there is something to see

How it is operated

  --admin ADDRESS     where the admin endpoint is: a live page, metrics, probes. None by default, but with the demo
  --access-log FILE   a line of JSON per call; - is standard output
  --health own|forward
                      who answers grpc.health.v1 for the server as a whole: this process, or a backend. Default own
  --workers N|auto    processes that share the addresses; auto: as many as there are cores. Default 1: this one alone
  --drain-timeout DURATION
                      how long running calls have to finish after SIGTERM: 250ms, 5s, 2m. Default 30s
  --log-format NAME   of what is said on standard error: ${LOG_FORMATS.join(' or ')}. Default text
  --log-level LEVEL   what is said there: ${LOG_LEVELS.join(', ')}. Default info
  --help              prints this
  --version           prints the version

TLS, by files in PEM. They are used by the next handshake when they change.

  --tls-cert FILE, --tls-key FILE
                      this side's certificate (and what leads to its authority) and private key: takes calls
                      by TLS, at every address
  --tls-client-ca FILE
                      takes calls only from clients that show a certificate of these authorities
  --backend-ca FILE   the authorities that certificates of https:// backends must be of, in place of the
                      system's and those of NODE_EXTRA_CA_CERTS
  --backend-cert FILE, --backend-key FILE
                      what https:// backends are shown when they ask for a client certificate

SIGTERM and SIGINT drain: no new connections, running calls finish, exit 0; a second signal ends at once. SIGHUP reads
the config again, and opens log files anew. SIGUSR2 replaces the workers one by one.
`;
