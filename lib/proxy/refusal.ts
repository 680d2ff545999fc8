import type { FailureReason } from '../call/outcome.js';
import { type Code, StatusError } from '../grpc/status.js';

/** What a director of this package throws that refuses a call by its configuration: no mistake of the director's. */
export class Refusal extends StatusError {
  readonly reason: FailureReason;
  /** The name of the route that says so. */
  readonly route: string | undefined;

  constructor(code: Code, message: string, reason: 'rejected' | 'no_route', route: string | undefined) {
    super(code, message);
    this.reason = reason;
    this.route = route;
  }
}
