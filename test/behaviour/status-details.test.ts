import { Metadata, status } from '@grpc/grpc-js';
import { Code, readStatusDetails, StatusError, withStatusDetails } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { failWith } from '../support/grpc-backend.js';
import { decode, encode, encodeStatus, typeUrl } from '../support/rpc-status.js';

const METHOD = '/any.Service/Method';
const TRAILER = 'grpc-status-details-bin';

behaviour('a client reads the details of an error that a director throws', async (t, world) => {
  const { port } = await world.proxy(() => {
    throw withStatusDetails(new StatusError(Code.RESOURCE_EXHAUSTED, 'too many calls'), {
      retryInfo: { delayMilliseconds: 1500 },
    });
  });
  const { code, details, trailers } = await world.grpcClient(port).call(METHOD, ['message']);
  t.strictSame([code, details], [status.RESOURCE_EXHAUSTED, 'too many calls']);
  const [value, ...more] = trailers.get(TRAILER);
  t.strictSame(more, []);
  const decoded = decode('Status', Buffer.from(value!));
  t.match(decoded, { code: 8, message: 'too many calls', details: [{ type_url: typeUrl('RetryInfo') }] });
});

behaviour('details of a backend are read, added to and sent on', async (t, world) => {
  const metadata = new Metadata();
  const errorInfo = encode('ErrorInfo', { reason: 'FULL', domain: 'example.com' });
  metadata.set(TRAILER, encodeStatus(8, 'disk full', ['ErrorInfo', errorInfo]));
  metadata.set('x-backend', 'one');
  const backend = await world.grpcBackend({
    [METHOD]: failWith(status.RESOURCE_EXHAUSTED, 'disk full', metadata),
  });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({
    primary: {
      conn,
      errHandler: (error) => {
        const details = readStatusDetails(error);
        t.match(details, { errorInfo: { reason: 'FULL', domain: 'example.com' }, others: [] });
        return withStatusDetails(StatusError.from(error), {
          ...details,
          retryInfo: { delayMilliseconds: 2000 },
        });
      },
    },
  }));
  const { code, details, trailers } = await world.grpcClient(port).call(METHOD, ['message']);
  t.strictSame([code, details, trailers.get('x-backend')], [status.RESOURCE_EXHAUSTED, 'disk full', ['one']]);
  const decoded = decode('Status', Buffer.from(trailers.get(TRAILER)[0]!));
  t.match(decoded, { details: [{ type_url: typeUrl('RetryInfo') }, { type_url: typeUrl('ErrorInfo') }] });
});
