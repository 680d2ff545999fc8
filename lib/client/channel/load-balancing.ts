/**
 * How calls are spread over the addresses of a backend:
 *
 * - `pick_first`: all to the first address that can be reached;
 * - `round_robin`: to one after the other of those that can be;
 * - `least_request`: to that of two of them, chosen at random, which has fewer calls running.
 */
export type LoadBalancing = 'pick_first' | 'round_robin' | 'least_request';

export const LOAD_BALANCING: readonly LoadBalancing[] = ['pick_first', 'round_robin', 'least_request'];
