/** Where a backend is: a TCP address, or a unix socket. */
export type ConnectTarget = { readonly host: string; readonly port: number } | { readonly path: string };
