import { wrongType, wrongValue } from '../port/errors.js';

/** What HTTP/2 can carry as `:path`, in text of one byte for each character. */
const PATH = /^\/[\x21-\x7e\x80-\xff]+$/;

/**
 * A method, `/service/method`, that an application names.
 *
 * @throws TypeError if it is no path of printable ASCII
 */
export function checkedMethod(method: string): string {
  if (typeof method === 'string' && PATH.test(method)) return method;
  const problem = typeof method === 'string' ? wrongValue : wrongType;
  throw problem('a method', '/service/method', method);
}
