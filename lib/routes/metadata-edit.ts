import type { Metadata, MetadataFieldOptions } from '../grpc/metadata.js';
import { isSecretName } from '../grpc/secret-names.js';
import { bytesOf, isBinary, type MetadataChanges } from './metadata-schema.js';

/** Changes metadata as a config says. */
export class MetadataEdit {
  readonly #removed: readonly string[];
  readonly #set: readonly (readonly [name: string, value: string | Buffer, options: MetadataFieldOptions])[];

  constructor({ set = {}, remove = [] }: MetadataChanges) {
    this.#removed = remove;
    this.#set = Object.entries(set).map(([name, value]) => [
      name,
      isBinary(name) ? bytesOf(value) : value,
      // No hop need keep it.
      { neverIndexed: isSecretName(name) },
    ]);
  }

  /** Of changes, if there are any. */
  static of(changes: MetadataChanges | undefined): MetadataEdit | undefined {
    return changes && new MetadataEdit(changes);
  }

  apply(metadata: Metadata): void {
    for (const name of this.#removed) metadata.delete(name);
    for (const [name, value, options] of this.#set) metadata.set(name, value, options);
  }
}
