/** Asks once for all who ask before anything else happens: an update of the live page wants three parts of one answer. */
export function onceATurn<T>(ask: () => T): () => T {
  let asked: { readonly answer: T } | undefined;
  return () => {
    if (asked === undefined) {
      asked = { answer: ask() };
      queueMicrotask(() => {
        asked = undefined;
      });
    }
    return asked.answer;
  };
}
