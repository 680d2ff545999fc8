// Sends each call to the backend that its key belongs to: here those of etcd, by the first letter. The key is a field of the
// call's first message, of which the proxy knows the number, and no schema. The backend gets the message as it is.
import { Code, dial, protobufString, registerService, Server, StatusError } from 'grpc-frame-proxy';

/** `bytes key = 1` of PutRequest, RangeRequest and DeleteRangeRequest. */
const KEY = 1;

const firstHalf = dial('http://127.0.0.1:50061');
const secondHalf = dial('http://127.0.0.1:50062');

const server = new Server();
registerService(
  server,
  async (_ctx, _fullMethodName, peeker) => {
    const [first] = await peeker.peek();
    const key = first && protobufString(first.payload, KEY);
    if (!key) throw new StatusError(Code.INVALID_ARGUMENT, 'no key to choose a backend by');
    return { primary: { conn: key < 'n' ? firstHalf : secondHalf } };
  },
  'etcdserverpb.KV',
  'Put',
  'Range',
  'DeleteRange',
);
await server.listen('127.0.0.1:50051');
