import type { Label } from './ignored-paths.js';
import { shownText } from './shown.js';

/** Where something is in a value: the way there. */
export type Place = readonly Label[];

/** Places, each with all that is in it. */
export class PlaceSet {
  readonly #root: Branch = { below: new Map(), isPlace: false };

  constructor(places: Iterable<Place>) {
    for (const place of places) this.#add(place);
  }

  /** Whether a place is one of them, or in one. */
  covers(place: Place): boolean {
    let branch: Branch | undefined = this.#root;
    for (const label of place) {
      if (branch.isPlace) return true;
      branch = branch.below.get(label);
      if (branch === undefined) return false;
    }
    return branch.isPlace;
  }

  #add(place: Place): void {
    let branch = this.#root;
    for (const label of place) {
      let next = branch.below.get(label);
      if (next === undefined) {
        next = { below: new Map(), isPlace: false };
        branch.below.set(label, next);
      }
      branch = next;
    }
    branch.isPlace = true;
  }
}

interface Branch {
  readonly below: Map<Label, Branch>;
  isPlace: boolean;
}

/** As `items[3].id`; empty for the whole. */
export function pathText(place: Place): string {
  let path = '';
  for (const label of place) {
    if (typeof label === 'number') {
      path += `[${label}]`;
    } else {
      // A key may be as long as a message.
      const key = shownText(label);
      if (!/^[^.[\]"]+$/.test(key)) path += `[${JSON.stringify(key)}]`;
      else path += path === '' ? key : `.${key}`;
    }
  }
  return shownText(path);
}
