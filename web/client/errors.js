// What a call fails with, and which failures may pass by themselves.

// `code` is the API's, or one of the client's own: network_error, timeout, aborted, invalid_answer, user_changed.
export class SeckillError extends Error {
  constructor(code, { status = 0, retryAfter = null, details = {}, message = code, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "SeckillError";
    this.code = code;
    this.status = status; // of HTTP; 0 where no answer came
    this.retryAfter = retryAfter; // milliseconds, or null
    this.details = details; // further members of the problem: available, limit, quote, errors, ...
    this.unsettled = false; // of a purchase: true where it may have been made all the same
  }
}

/** Whether the answer leaves open what happened. `busy` and `rate_limited` do not: nothing was done. */
export function isUnknown(error) {
  return error.status === 0
    ? ["network_error", "timeout", "aborted", "invalid_answer"].includes(error.code)
    : error.code === "invalid_answer" || (error.status >= 500 && error.code !== "busy");
}

/** Whether the same request may well be answered otherwise a little later. */
export function isTransient(error) {
  return error.code !== "aborted" && (isUnknown(error) || error.code === "busy" || error.code === "rate_limited");
}

export function aborted(cause) {
  return new SeckillError("aborted", { cause });
}
