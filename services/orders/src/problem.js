// Errors that a caller sees: problem details (RFC 9457).
import { STATUS_CODES } from 'node:http';

export class Problem extends Error {
  constructor(status, detail, { headers = {}, errors } = {}) {
    super(detail);
    this.status = status;
    this.headers = headers;
    this.errors = errors;
  }
}

// Express knows an error handler by its four parameters.
export function answerProblem(error, request, response, next) {
  if (response.headersSent) {
    next(error);
    return;
  }
  const problem = asProblem(error);
  if (problem.status >= 500) request.log.error({ error: error.stack, cause: error.cause?.message }, error.message);
  response
    .status(problem.status)
    .set(problem.headers)
    .type('application/problem+json')
    .send(
      JSON.stringify({
        type: 'about:blank',
        title: STATUS_CODES[problem.status],
        status: problem.status,
        detail: problem.message,
        errors: problem.errors,
      }),
    );
}

function asProblem(error) {
  if (error instanceof Problem) return error;
  // Express' own: a body that is no JSON, too large, in an unknown encoding; a path with a bad escape.
  if (error.status >= 400 && error.status < 500) return new Problem(error.status, error.message);
  return new Problem(500, 'something went wrong here');
}
