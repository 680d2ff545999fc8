import { messageOf } from '../wire/message.js';

/** Messages of so many bytes, back to back, cut into chunks as a socket would; about a megabyte, or one message. */
export function stream(messageBytes: number, chunkBytes: number): { chunks: Buffer[]; messages: number } {
  const message = messageOf(messageBytes);
  const messages = Math.max(1, Math.floor(2 ** 20 / message.length));
  const whole = Buffer.concat(Array.from({ length: messages }, () => message));
  const chunks: Buffer[] = [];
  for (let offset = 0; offset < whole.length; offset += chunkBytes) {
    chunks.push(whole.subarray(offset, offset + chunkBytes));
  }
  return { chunks, messages };
}
