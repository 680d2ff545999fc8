import { CLEARTEXT } from '../support/wire.js';
import { testModels } from './fixed-runs.js';
import { PROXY_MODELS } from './models.js';

// The engine is what is to be tested; node:http2 and TLS show whether the rest minds. `npm run fuzz` does more.
testModels(PROXY_MODELS, ({ server, client, wire }) => {
  if (wire !== CLEARTEXT) return 1;
  return server === 'frames' && client === 'frames' ? 6 : 2;
});
