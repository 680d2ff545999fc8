import { refusePromise, type Scoped, warn } from '../call/hooks.js';
import { Metadata } from '../grpc/metadata.js';
import { isReservedHeader } from '../grpc/reserved-headers.js';
import type { StatusError } from '../grpc/status.js';
import { appendHeaders, copyHeaders, filterHeaders, type HeaderList } from '../port/headers.js';

/** What a director may give to change the metadata of a response. */
export interface ResponseEditors {
  readonly editResponseHeaders?: ((metadata: Metadata) => void) | undefined;
  readonly editResponseTrailers?: ((metadata: Metadata, error: StatusError | undefined) => void) | undefined;
}

/** What the application changes of a response that may be a backend's: most calls have none. */
export class ResponseEdits {
  readonly #call: Scoped;
  #headers: HeaderList | undefined;
  #trailers: HeaderList | undefined;
  #editors: ResponseEditors = {};

  constructor(call: Scoped) {
    this.#call = call;
  }

  /** Whether there is metadata that goes into headers, also of a call that would have none before its status. */
  get addsHeaders(): boolean {
    return this.#headers !== undefined;
  }

  addHeaders(headers: HeaderList): void {
    this.#headers = appendHeaders(this.#headers ?? [], headers);
  }

  addTrailers(trailers: HeaderList): void {
    this.#trailers = appendHeaders(this.#trailers ?? [], trailers);
  }

  /** Lets a director's hooks change what there is then. */
  editBy({ editResponseHeaders, editResponseTrailers }: ResponseEditors): void {
    this.#editors = { editResponseHeaders, editResponseTrailers };
  }

  /** Response headers as they are sent. */
  headers(headers: HeaderList): HeaderList {
    const { editResponseHeaders } = this.#editors;
    return this.#edited(joined(headers, this.#headers), 'editResponseHeaders', editResponseHeaders);
  }

  /** Trailers as they are sent. @param isOnly they are the headers, too (Trailers-Only) */
  trailers(trailers: HeaderList, error: StatusError | undefined, isOnly: boolean): HeaderList {
    const { editResponseHeaders, editResponseTrailers } = this.#editors;
    const all = joined(trailers, this.#trailers);
    const edited = isOnly ? this.#edited(all, 'editResponseHeaders', editResponseHeaders) : all;
    return this.#edited(
      edited,
      'editResponseTrailers',
      editResponseTrailers && ((metadata) => editResponseTrailers(metadata, error)),
    );
  }

  /**
   * A list with its metadata as the application changes it; gRPC's and HTTP's own fields stay as they are. If that throws,
   * or is not done when it returns, the metadata is left out: what was to be taken away must not get through.
   */
  #edited(
    headers: HeaderList,
    name: keyof ResponseEditors,
    edit: ((metadata: Metadata) => void) | undefined,
  ): HeaderList {
    // What is no field, a subclass of StatusError has made, say: the transport refuses it.
    if (edit === undefined || !headers.every((text) => typeof text === 'string')) return headers;
    const kept = filterHeaders(headers, (name) => name.startsWith(':') || isReservedHeader(name));
    const metadata = Metadata.fromHeaders(headers);
    try {
      refusePromise(
        this.#call.inScope<unknown>(() => edit(metadata)),
        name,
      );
    } catch (thrown) {
      warn(thrown);
      return kept;
    }
    return appendHeaders(kept, metadata.toHeaders());
  }
}

/** The list, which may be a backend's, stays as it is. */
function joined(headers: HeaderList, added: HeaderList | undefined): HeaderList {
  return added === undefined ? headers : appendHeaders(copyHeaders(headers), added);
}
