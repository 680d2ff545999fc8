/**
 * Imported first, it makes Node look as if its sockets had no place for memory of ours to read into: what
 * `socket-input.ts` falls back on where a later Node has it otherwise.
 */
const symbolsOf = Object.getOwnPropertySymbols;

Object.getOwnPropertySymbols = (value: object): symbol[] =>
  symbolsOf(value).filter(({ description }) => description !== 'kBuffer');
