import { collectAnswer } from '../support/answer.js';
import { messages } from '../support/hostile-frames.js';
import { fieldValue, type Http2Client, type Response } from '../support/http2-client.js';
import type { Random } from '../support/random.js';
import { ended } from './arena.js';
import { violated } from './violated.js';

/** Where echoes are to be had. */
export const ECHO = '/fuzz.Service/Echo';

export function statusOf({ headers, trailers }: Response): string | undefined {
  return fieldValue(trailers ?? headers, 'grpc-status');
}

/** A call that must succeed, whatever others do. */
export async function callHonestly(random: Random, client: Http2Client): Promise<void> {
  const body = messages(random);
  const stream = client.open(ECHO);
  const response = collectAnswer(stream);
  stream.end(body);
  const answer = await ended('an honest call', response);
  if (statusOf(answer) !== '0') violated('an honest call failed', answer);
  if (!answer.data.equals(body)) violated('an honest call got other bytes', answer);
}

/** Some of them, one after the other. */
export async function callHonestlyMoreThanOnce(random: Random, client: Http2Client): Promise<void> {
  for (let left = random.int(1, 3); left > 0; left--) await callHonestly(random, client);
}
