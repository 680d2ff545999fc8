import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../child.js';
import { missingCommand } from './command.js';
import type { Peer, Setup } from './peer.js';

/** Envoy; secondaries by `request_mirror_policies`. */
export const envoy: Peer = {
  name: 'envoy',
  missing: () =>
    missingCommand(
      'envoy',
      '--version',
      'apt install envoy, from https://apt.envoyproxy.io, or a binary of https://github.com/envoyproxy/envoy/releases',
    ),
  start(setup) {
    const file = join(setup.directory, 'envoy.json');
    writeFileSync(file, JSON.stringify(configuration(setup)));
    return Child.start('envoy', ['-c', file, '--concurrency', '1', '-l', 'error', '--disable-hot-restart']);
  },
};

const HTTP2 = { initial_stream_window_size: 262_144, initial_connection_window_size: 4_194_304 };
const TYPES = 'type.googleapis.com/envoy.extensions';

function configuration({ listenPort, backendPorts, certificate }: Setup): object {
  return {
    static_resources: {
      listeners: [
        {
          address: address(listenPort),
          filter_chains: [
            {
              ...(certificate && { transport_socket: frontTls(certificate.cert, certificate.key) }),
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: connectionManager(backendPorts.length - 1),
                },
              ],
            },
          ],
        },
      ],
      clusters: backendPorts.map((port, index) =>
        cluster(`backend${index}`, port, certificate !== undefined),
      ),
    },
  };
}

function connectionManager(secondaries: number): object {
  const mirrors = Array.from({ length: secondaries }, (_, index) => ({ cluster: `backend${index + 1}` }));
  return {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    codec_type: 'HTTP2',
    http2_protocol_options: HTTP2,
    stream_idle_timeout: '0s',
    route_config: {
      virtual_hosts: [
        {
          name: 'bench',
          domains: ['*'],
          routes: [
            {
              match: { prefix: '/' },
              route: { cluster: 'backend0', timeout: '0s', request_mirror_policies: mirrors },
            },
          ],
        },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` },
      },
    ],
  };
}

function cluster(name: string, port: number, secure: boolean): object {
  const unlimited = 1_000_000;
  return {
    name,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
    circuit_breakers: { thresholds: [{ max_requests: unlimited, max_pending_requests: unlimited }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: HTTP2 },
      },
    },
    ...(secure && {
      transport_socket: {
        name: 'envoy.transport_sockets.tls',
        typed_config: { '@type': `${TYPES}.transport_sockets.tls.v3.UpstreamTlsContext` },
      },
    }),
  };
}

function frontTls(cert: string, key: string): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TYPES}.transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
      },
    },
  };
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
