// Has the next version of a service answer live calls, too, and says where it answers otherwise. Clients notice nothing of
// it: whatever a shadow does, or does not, costs the call nothing.
import { compareResponses, dial, Server, transparentHandler } from 'grpc-frame-proxy';

const current = dial('http://127.0.0.1:50061');
// The version of today once more: what differs between these two (ids, times) says nothing of the next version.
const again = dial('http://127.0.0.1:50062');
const next = dial('http://127.0.0.1:50063');

const parameters = compareResponses(
  { primary: { conn: current }, shadows: [{ conn: again }, { conn: next }] },
  {
    baseline: again,
    onVerdict: (verdict) => {
      if (verdict.role === 'baseline' || verdict.result !== 'different') return;
      const { method, at, primary, other } = verdict;
      console.log(method, 'differs in its', at, primary, other);
    },
  },
);

const server = new Server({ unknownServiceHandler: transparentHandler(() => parameters) });
await server.listen('127.0.0.1:50051');
