/** 128 and the number of the signal, as shells do. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** A signal that asks the command to end. */
export type EndSignal = keyof typeof EXIT_CODES;

/**
 * Who asks once may be heard twice: GNU timeout sends its signal to the process and then to its group, as npm passes on what
 * a terminal has sent to both. Nobody asks again as soon as that: it takes a person longer, and a supervisor waits.
 */
const ECHO_MILLISECONDS = 250;

/**
 * Hears the signals that ask to end. A second one ends the process at once, whatever it does.
 *
 * @param onFirst told the first
 * @param onEchoed told the first when the same would be a second one
 */
export function hearEndSignals(
  onFirst: (signal: EndSignal) => void,
  onEchoed: (signal: EndSignal) => void,
): void {
  /** The one whose echo may come. */
  let first: EndSignal | 'echoed' | undefined;
  const hear = (signal: EndSignal): void => {
    if (first === undefined) {
      first = signal;
      afterEcho(() => {
        first = 'echoed';
        onEchoed(signal);
      });
      onFirst(signal);
    } else if (first !== signal) process.exit(EXIT_CODES[signal]);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => hear(signal));
}

function afterEcho(act: () => void): void {
  // What has come in time is heard before, also where draining has kept the process from hearing it.
  setTimeout(() => setImmediate(act).unref(), ECHO_MILLISECONDS).unref();
}
