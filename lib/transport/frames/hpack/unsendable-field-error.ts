import { ErrorCode } from '../../../port/error-code.js';

/** A field that HTTP/2 cannot carry (RFC 9113 sections 8.2.1 and 8.2.2). Its message is fit for anybody. */
export class UnsendableFieldError extends Error {
  override readonly name: string = 'UnsendableFieldError';
  /** What the stream is reset with. */
  readonly code: number = ErrorCode.INTERNAL_ERROR;
}

/** A list that is longer than the peer takes: sending it all the same may cost the connection. */
export class HeaderListTooLargeError extends UnsendableFieldError {
  override readonly name = 'HeaderListTooLargeError';
  override readonly code = ErrorCode.ENHANCE_YOUR_CALM;

  constructor(size: number, most: number) {
    super(`a header list of ${size} bytes, where the peer takes ${most}`);
  }
}
