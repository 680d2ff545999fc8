export {
  type ClientTarget,
  createFramesClientTransport,
  type FramesClientOptions,
} from './client-transport.js';
export type { FramesLimits, Rate } from './limits.js';
export { createFramesServerTransport, type FramesServerOptions } from './server-transport.js';
