// Its Agent alone: with its clients and proxies, for which nobody asks here, importing this package took 15 to 25 % longer. It
// declares no types of its parts; they are where they are in the one version that this package depends on.
declare module 'http2-wrapper/source/agent.js' {
  export { Agent } from 'http2-wrapper';
}
