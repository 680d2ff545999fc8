import type { ResponseVerdict } from '../../lib/index.js';
import { Random } from '../support/random.js';
import { type Compared, compareUnderLoad, type Load } from './comparing.js';
import type { Plant } from './kinds.js';

/** What is wrong with a comparison; none: nothing. */
export interface Judgement {
  readonly name: string;
  readonly compared: Compared;
  readonly objections: readonly string[];
}

type Basis = Omit<Load, 'kinds' | 'streamLength' | 'plant'>;

/** Two identical backends, calls of all kinds: there must be no difference. */
export async function judgeIdentical(load: Basis): Promise<Judgement> {
  const compared = await compareUnderLoad(load);
  return {
    name: `${load.calls} calls of all kinds to two identical backends`,
    compared,
    objections: [...countObjections(compared, load.calls), ...compared.others.map(textOf)],
  };
}

/** One byte of one message of a stream of so many differs: it must be found, and where. */
export async function judgePlantedInStream(load: Basis, messages: number): Promise<Judgement> {
  const random = new Random(load.seed);
  const plant = { call: random.int(0, 3), index: random.int(0, messages - 1), offset: 0 };
  const kinds = ['server-stream'] as const;
  return judgePlanted(
    { ...load, calls: 4, kinds, streamLength: messages, plant },
    `a message of ${messages}`,
  );
}

/** One byte of the answer to one of so many calls differs. */
export async function judgePlantedInCall(load: Basis): Promise<Judgement> {
  const random = new Random(load.seed);
  const plant = { call: random.int(0, load.calls - 1), index: 0, offset: 0 };
  return judgePlanted({ ...load, kinds: ['unary'], plant }, `one of ${load.calls} calls`);
}

async function judgePlanted(load: Load & { readonly plant: Plant }, where: string): Promise<Judgement> {
  const compared = await compareUnderLoad(load);
  const objections = [...countObjections(compared, load.calls)];
  const [verdict, ...more] = compared.others;
  const { index, offset } = load.plant;
  const isFound =
    verdict?.result === 'different' &&
    verdict.at === 'message' &&
    verdict.index === index &&
    verdict.offset === offset;
  if (!isFound) objections.push(`byte ${offset} of message ${index} was not found: ${textOf(verdict)}`);
  objections.push(...more.map(textOf));
  return { name: `a byte planted in ${where}`, compared, objections };
}

function countObjections({ verdicts }: Compared, calls: number): string[] {
  return verdicts === calls ? [] : [`${verdicts} verdicts on ${calls} calls`];
}

function textOf(verdict: ResponseVerdict | undefined): string {
  return JSON.stringify(verdict) ?? 'nothing';
}
