/** What HTTP/2 can carry as `:path`, in text of one byte for each character. */
const PATH = /^\/[\x21-\x7e\x80-\xff]+$/;

/**
 * A method, `/service/method`, that an application names.
 *
 * @throws TypeError if it is no path of printable ASCII
 */
export function checkedMethod(method: string): string {
  if (typeof method === 'string' && PATH.test(method)) return method;
  const what = typeof method === 'string' ? JSON.stringify(method) : `a value of type ${typeof method}`;
  throw new TypeError(`a method must be /service/method, not ${what}`);
}
