import { resolve } from 'node:path';
import { envoy } from './envoy.js';
import { haproxy } from './haproxy.js';
import { nghttpx } from './nghttpx.js';
import { nginx } from './nginx.js';
import { nodePeer } from './node-peer.js';
import type { NodeOptions, Peer } from './peer.js';
import { TRANSPORTS } from './transports.js';

/** What the others are compared with. */
export const REFERENCE = TRANSPORTS[0];

/** Everybody that can take part, this proxy first. */
export function allPeers(nodeOptions: NodeOptions): Peer[] {
  const ours: Peer[] = TRANSPORTS.flatMap((transport) => [
    nodePeer(transport, 'this-proxy.js', nodeOptions, { transport, peek: false }),
    {
      ...nodePeer(`${transport}-peek`, 'this-proxy.js', nodeOptions, { transport, peek: true }),
      peeks: true,
    },
  ]);
  const { baseline } = nodeOptions;
  if (baseline !== undefined) {
    const extras = { transport: REFERENCE, peek: false, library: resolve(baseline, 'index.js') };
    ours.push(nodePeer('baseline', 'this-proxy.js', nodeOptions, extras));
  }
  return [
    ...ours,
    nodePeer('floor', 'floor.js', nodeOptions),
    nodePeer('grpc-js', 'grpc-js.js', nodeOptions),
    nginx,
    haproxy,
    nghttpx,
    envoy,
  ];
}
