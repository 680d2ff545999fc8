import { Random } from '../../support/random.js';
import { attackOf } from '../all.js';
import type { AttackReport } from '../attack.js';
import { answerQuestions, settingsOfChild } from './forked.js';

/** An attack in a process of its own, so that what it costs is not taken for what it does. */
export interface AttackerSettings {
  readonly name: string;
  readonly port: number;
  readonly seed: number;
}

const { name, port, seed } = settingsOfChild<AttackerSettings>();
const attack = attackOf(name);
const departure = new AbortController();
let attacking: Promise<AttackReport> | undefined;

answerQuestions(async (question) => {
  if (question === 'ready') return undefined;
  if (question === 'begin') {
    attacking = attack.run({ port, signal: departure.signal, random: new Random(seed) });
    // Told by `leave`.
    attacking.catch(() => {});
    return undefined;
  }
  departure.abort();
  return attacking;
});
