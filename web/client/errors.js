// What every call of the client fails with.

/**
 * A call that was refused, or that brought no answer.
 *
 * `code` is the API's (`sold_out`, `busy`, …: each has a page at /problems/<code>), or one of the client's own:
 * `network_error` (no answer came), `timeout` (none came in time), `aborted` (the caller gave up), `invalid_answer`
 * (something else than the service answered). `status` is 0 where there was no answer. `retryAfter` is in
 * milliseconds, or null. `details` holds the problem's further members, such as `available` or `errors`.
 */
export class SeckillError extends Error {
  constructor(code, { status = 0, retryAfter = null, details = {}, title = "", detail = "", requestId = "", cause } = {}) {
    super(detail || title || code, cause === undefined ? undefined : { cause });
    this.name = "SeckillError";
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
    this.details = details;
    this.title = title;
    this.requestId = requestId;
  }
}
