/** The command line, or a file that it names, is wrong: the message says which option, and what it takes. */
export class UsageError extends Error {}
