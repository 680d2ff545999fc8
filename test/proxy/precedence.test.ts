import t from 'tap';
import type { Failure } from '../../lib/call/outcome.js';
import { Code, StatusError } from '../../lib/index.js';
import { decisiveFailure } from '../../lib/proxy/precedence.js';

const failure = (reason: Failure['reason']): Failure => ({
  error: new StatusError(Code.UNKNOWN, reason),
  reason,
});
const CLIENT = failure('client_cancelled');
const PRIMARY = failure('backend_status');
const SECONDARY = failure('secondary');
const FINALIZER = failure('finalizer');

const TABLE: readonly [failed: readonly Failure[], told: Failure | undefined][] = [
  [[], undefined],
  [[CLIENT], CLIENT],
  [[PRIMARY], PRIMARY],
  [[SECONDARY], SECONDARY],
  [[FINALIZER], FINALIZER],
  [[CLIENT, PRIMARY], CLIENT],
  [[CLIENT, SECONDARY], CLIENT],
  [[CLIENT, FINALIZER], CLIENT],
  [[PRIMARY, SECONDARY], PRIMARY],
  [[PRIMARY, FINALIZER], PRIMARY],
  [[SECONDARY, FINALIZER], SECONDARY],
  [[CLIENT, PRIMARY, SECONDARY], CLIENT],
  [[CLIENT, PRIMARY, FINALIZER], CLIENT],
  [[CLIENT, SECONDARY, FINALIZER], CLIENT],
  [[PRIMARY, SECONDARY, FINALIZER], PRIMARY],
  [[CLIENT, PRIMARY, SECONDARY, FINALIZER], CLIENT],
];

for (const [failed, told] of TABLE) {
  const names = failed.map(({ reason }) => reason).join(', ') || 'nothing';
  t.test(`${names} failed: the client is told of ${told?.reason ?? 'OK'}`, async (t) => {
    const among = (one: Failure) => (failed.includes(one) ? one : undefined);
    t.equal(
      decisiveFailure({
        client: among(CLIENT),
        primary: among(PRIMARY),
        secondary: among(SECONDARY),
        finalizer: among(FINALIZER),
      }),
      told,
    );
  });
}
