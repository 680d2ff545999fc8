// Counts calls for Prometheus, which fetches them at http://127.0.0.1:9464/metrics.
import { createServer } from 'node:http';
import { dial, Server, transparentHandler } from 'grpc-frame-proxy';
import { metrics } from 'grpc-frame-proxy/metrics';

const files = dial('http://127.0.0.1:50061');
const server = new Server({
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: files } })),
});
const counted = metrics(server, { backends: () => [['files', files]], processMetrics: true });

createServer(async (request, response) => {
  if (request.url !== '/metrics') {
    response.writeHead(404).end();
    return;
  }
  try {
    const { contentType, body } = await counted.text(request.headers.accept);
    response.setHeader('content-type', contentType).end(body);
  } catch (error) {
    console.error('metrics:', error);
    response.writeHead(500).end();
  }
}).listen(9464, '127.0.0.1');

await server.listen('127.0.0.1:50051');
