import type { FailureReason } from '../call/outcome.js';
import { type Code, StatusError, withoutStack } from '../grpc/status.js';

/** What a director of this package throws that refuses a call by its configuration: no mistake of the director's. */
export class Refusal extends StatusError {
  readonly reason: FailureReason;
  /** The name of the route that says so. */
  readonly route: string | undefined;

  private constructor(code: Code, message: string, reason: FailureReason, route: string | undefined) {
    super(code, message);
    this.reason = reason;
    this.route = route;
  }

  static by(code: Code, message: string, reason: 'rejected' | 'no_route', route?: string): Refusal {
    return withoutStack(() => new Refusal(code, message, reason, route));
  }
}
