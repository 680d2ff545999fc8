import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';

export type Family = 'A' | 'AAAA';

/** What a name server has to say of a name: its addresses, that it has failed, that there is no such name, or nothing. */
export type NameAnswer =
  | { readonly addresses: readonly string[]; readonly ttlSeconds?: number }
  | 'SERVFAIL'
  | 'NXDOMAIN'
  | 'silence';

const TYPES: Readonly<Record<number, Family>> = { 1: 'A', 28: 'AAAA' };
const CODES = { SERVFAIL: 2, NXDOMAIN: 3 } as const;
const HEADER_BYTES = 12;

/** A name server on UDP (RFC 1035 section 4) whose answers the test decides, and may change. */
export class NameServer {
  /** What was asked, as `A name`. */
  readonly queries: string[] = [];
  answer: (name: string, family: Family) => NameAnswer;
  readonly #socket: dgram.Socket;

  private constructor(socket: dgram.Socket, answer: NameServer['answer']) {
    this.#socket = socket;
    this.answer = answer;
    socket.on('message', (query, { port, address }) => {
      const response = this.#respond(query);
      if (response !== undefined) socket.send(response, port, address);
    });
  }

  static async start(answer: NameServer['answer']): Promise<NameServer> {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new NameServer(socket, answer);
  }

  /** `ADDRESS:PORT` */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  destroy(): void {
    this.#socket.close();
  }

  #respond(query: Buffer): Buffer | undefined {
    const { name, end } = nameAt(query, HEADER_BYTES);
    const type = query.readUInt16BE(end);
    const family = TYPES[type];
    if (family === undefined) return undefined;
    this.queries.push(`${family} ${name}`);
    const answer = this.answer(name, family);
    if (answer === 'silence') return undefined;
    const { addresses, ttlSeconds = 60 } = typeof answer === 'string' ? { addresses: [] } : answer;
    const records = addresses.filter((address) => net.isIPv6(address) === (family === 'AAAA'));
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    // A response, recursion desired and available, and the response code.
    header.writeUInt16BE(0x8180 | (typeof answer === 'string' ? CODES[answer] : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    const question = query.subarray(HEADER_BYTES, end + 4);
    return Buffer.concat([header, question, ...records.map((each) => record(each, type, ttlSeconds))]);
  }
}

function nameAt(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = message[at]!; length > 0; length = message[at]!) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), end: at + 1 };
}

function record(address: string, type: number, ttlSeconds: number): Buffer {
  const bytes = net.isIPv6(address) ? ipv6Bytes(address) : Buffer.from(address.split('.').map(Number));
  const fields = Buffer.alloc(HEADER_BYTES);
  // The name of the question.
  fields.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  fields.writeUInt16BE(type, 2);
  fields.writeUInt16BE(1, 4);
  fields.writeUInt32BE(ttlSeconds, 6);
  fields.writeUInt16BE(bytes.length, 10);
  return Buffer.concat([fields, bytes]);
}

function ipv6Bytes(address: string): Buffer {
  const [head, tail] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const groups = [
    ...head!,
    ...Array<string>(8 - head!.length - (tail?.length ?? 0)).fill('0'),
    ...(tail ?? []),
  ];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
