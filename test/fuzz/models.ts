import type { Model } from './model.js';
import { blockedBackend, blockedClient } from './models/blocked-at-tcp.js';
import { changedOctets, clientFrames, serverFrames } from './models/frames.js';
import { hostileBackends } from './models/hostile-backends.js';
import { hostileClients } from './models/hostile-clients.js';
import { neverResume } from './models/never-resume.js';
import { pools } from './models/pools.js';
import { backendResets, clientResets } from './models/resets.js';
import { throwingApplication } from './models/throwing-application.js';

/** Of proxies, on every pair of transports. */
export const PROXY_MODELS: readonly Model[] = [
  hostileClients,
  hostileBackends,
  neverResume,
  blockedClient,
  blockedBackend,
  clientResets,
  backendResets,
  throwingApplication,
  pools,
];

/** Of the frame engine by itself. */
export const ENGINE_MODELS: readonly Model[] = [serverFrames, changedOctets, clientFrames];

export const MODELS: readonly Model[] = [...PROXY_MODELS, ...ENGINE_MODELS];
