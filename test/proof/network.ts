/**
 * Addresses of the loopback interface that a run has to itself, with the same ports for all of its peers: what is started
 * again must find its port free, and nobody takes one below those that systems give away. Linux alone has all of 127/8.
 */
export class Network {
  readonly #prefix = `127.${64 + ((process.pid >> 8) & 0x7f)}.${process.pid & 0xff}`;

  replica(number: number): string {
    return this.#host(number);
  }

  backend(number: number): string {
    return this.#host(100 + number);
  }

  balancer(number: number): string {
    return this.#host(200 + number);
  }

  #host(number: number): string {
    return `${this.#prefix}.${number}`;
  }
}

/** Why there is none here. */
export function missingNetwork(): string | false {
  return process.platform !== 'linux' && 'needs Linux: other systems have one loopback address';
}

export const PORTS = {
  cleartext: 21_051,
  tls: 21_052,
  admin: 21_053,
  backend: 21_054,
  balancer: 21_055,
} as const;
