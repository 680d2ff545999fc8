/** Longer words are nobody's slip of the finger, and comparing them takes long. */
const MAX_LENGTH = 64;

/** More are not looked through: a file may have any number of names and mistakes. */
const MAX_CANDIDATES = 1000;

/** What somebody meant who wrote this word: the name that is most like it, if one is like it at all. */
export function didYouMean(word: string, names: Iterable<string>): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  // One slip in three letters, and one in two that are swapped.
  let most = Math.max(1, Math.floor(word.length / 3));
  let found: string | undefined;
  let looked = 0;
  for (const name of names) {
    if (++looked > MAX_CANDIDATES) break;
    if (Math.abs(name.length - word.length) > most) continue;
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance > most) continue;
    found = name;
    most = distance - 1;
    if (most < 0) break;
  }
  return found;
}

/** How many letters have to be put in, taken out, replaced, or swapped with the next, to make one of the other. */
function editDistance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1;
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      const isSwapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (isSwapped) least = Math.min(least, beforeLast[j - 2]! + 1);
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return last[other.length]!;
}
