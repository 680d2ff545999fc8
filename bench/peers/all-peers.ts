import { resolve } from 'node:path';
import { envoy } from './envoy.js';
import { haproxy } from './haproxy.js';
import { nghttpx } from './nghttpx.js';
import { nginx } from './nginx.js';
import { nodePeer } from './node-peer.js';
import type { Library, NodeOptions, Peer } from './peer.js';
import { TRANSPORTS } from './transports.js';

/** What the others are compared with. */
export const REFERENCE = TRANSPORTS[0];

/** What looks on at our calls, where that is measured. */
const OBSERVERS = ['metrics', 'access-log', 'statistics'] as const;

/** Everybody that can take part, this proxy first. */
export function allPeers(nodeOptions: NodeOptions, libraries: readonly Library[] = []): Peer[] {
  const ours = TRANSPORTS.flatMap((transport) => [
    nodePeer(transport, 'this-proxy.js', nodeOptions, { transport, peek: false }),
    {
      ...nodePeer(`${transport}-peek`, 'this-proxy.js', nodeOptions, { transport, peek: true }),
      extra: 'peek' as const,
    },
    ...OBSERVERS.map((observer) => ({
      ...nodePeer(`${transport}-${observer}`, 'this-proxy.js', nodeOptions, {
        transport,
        peek: false,
        observer,
      }),
      extra: 'observe' as const,
    })),
  ]);
  const others = libraries.flatMap(({ name, directory }) => {
    const library = resolve(directory, 'index.js');
    return TRANSPORTS.map((transport) =>
      nodePeer(`${name}-${transport}`, 'this-proxy.js', nodeOptions, { transport, peek: false, library }),
    );
  });
  return [
    ...ours,
    ...others,
    nodePeer('floor', 'floor.js', nodeOptions),
    nodePeer('grpc-js', 'grpc-js.js', nodeOptions),
    nginx,
    haproxy,
    nghttpx,
    envoy,
  ];
}
