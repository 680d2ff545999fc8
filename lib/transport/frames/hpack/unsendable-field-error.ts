/** A field that HTTP/2 cannot carry (RFC 9113 sections 8.2.1 and 8.2.2). Its message is fit for anybody. */
export class UnsendableFieldError extends Error {
  override readonly name = 'UnsendableFieldError';
}
