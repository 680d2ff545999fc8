import { once } from 'node:events';
import http from 'node:http';
import net, { type Socket } from 'node:net';

/** What an admin endpoint answered. */
export interface Answered {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string;
}

/** Asks at a path of an endpoint, by a connection of its own. */
export async function ask(url: string, path: string, options: AskOptions = {}): Promise<Answered> {
  const { port, hostname } = new URL(url);
  const { method = 'GET', headers = {}, body } = options;
  const request = http.request({
    host: hostname.replace(/[[\]]/g, ''),
    port,
    path,
    method,
    headers,
    agent: false,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode!, headers: response.headers, body: text };
}

/** A connection that says what the test says, byte by byte. */
export async function connected(url: string): Promise<Socket> {
  const { port, hostname } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Resolves when a connection is closed, whether in order or not. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** All that a connection says until it is closed, after these bytes were sent. */
export async function sayAll(url: string, bytes: string): Promise<string> {
  const socket = await connected(url);
  socket.setEncoding('latin1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write(bytes);
  await closed(socket);
  return text;
}

/** The updates of `/events`, as they come. */
export async function* eventsOf(url: string): AsyncGenerator<unknown> {
  const { port, hostname } = new URL(url);
  const request = http.request({ host: hostname, port, path: '/events', agent: false });
  request.on('error', () => {});
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.setEncoding('utf8');
  let text = '';
  try {
    for await (const chunk of response) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end));
        text = text.slice(end + 2);
        if (data !== null) yield JSON.parse(data[1]!);
      }
    }
  } finally {
    request.destroy();
  }
}
