// Asks a gRPC server for its health, without another gRPC library: messages are bytes.
import { dial, protobufInteger, StatusError } from 'grpc-frame-proxy';

const SERVING = 1n;
const conn = dial('http://127.0.0.1:50061');

try {
  const call = conn.call('/grpc.health.v1.Health/Check', { timeoutMilliseconds: 1000 });
  // A HealthCheckRequest without a service: the server as a whole.
  await call.send(Buffer.alloc(0));
  call.end();
  for await (const message of call) {
    // `ServingStatus status = 1` of HealthCheckResponse.
    console.log(protobufInteger(message, 1) === SERVING ? 'serving' : 'not serving');
  }
} catch (error) {
  console.error(StatusError.from(error).message);
  process.exitCode = 1;
} finally {
  await conn.close();
}
