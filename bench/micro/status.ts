import { bench, do_not_optimize, group, summary } from 'mitata';
import { Code, decodeStatusMessage, encodeStatusMessage, StatusError } from '../../lib/grpc/status.js';

const MESSAGES = {
  'an ASCII message': 'no such repository: group/project',
  'a message in Unicode': 'das Projekt „Vögel & Fische“ gibt es nicht: 100 %',
};

export function registerStatus(): void {
  for (const [title, message] of Object.entries(MESSAGES)) {
    const encoded = encodeURIComponent(message);
    group(`status: ${title}`, () => {
      summary(() => {
        bench('encodeStatusMessage', () => do_not_optimize(encodeStatusMessage(message)));
        bench("encodeURI, grpc-js's way", () => do_not_optimize(encodeURI(message))).baseline();
        bench('decodeStatusMessage', () => do_not_optimize(decodeStatusMessage(encoded)));
      });
    });
  }
  group('status: trailers', () => {
    const ok = ['grpc-status', '0', 'grpc-message', ''];
    const notFound = ['grpc-status', '5', 'grpc-message', 'no such repository'];
    bench('fromTrailers, OK', () => do_not_optimize(StatusError.fromTrailers(ok)));
    bench('fromTrailers and toTrailers, NOT_FOUND', () =>
      do_not_optimize(StatusError.fromTrailers(notFound)?.toTrailers()),
    );
    bench('new StatusError and toTrailers', () =>
      do_not_optimize(new StatusError(Code.NOT_FOUND, 'no such repository').toTrailers()),
    );
  });
}
