/** Signals that ask the command for something. A worker that gets them, too, as all processes of a group do, goes on. */
export const COMMAND_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];
