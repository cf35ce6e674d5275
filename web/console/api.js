// The service's API, as the administrator who signed in.

const TIMEOUT_MS = 15_000;
const ATTEMPTS = 3;
const LONGEST_WAIT_S = 5;

/** A refusal or failure. `code` is the API's, or `offline`, or `timeout`; `errors` are those of single fields. */
export class ApiError extends Error {
  constructor(code, { status = 0, title = "", detail = "", retryAfter = null, errors = [], requestId = "" } = {}) {
    super(code);
    Object.assign(this, { code, status, title, detail, retryAfter, errors, requestId });
    this.isUnsettled = false; // of a change: whether it may have been made
  }

  /** Whether it is unknown what became of the request, or the service asks to try again. */
  get isPassing() {
    return ["offline", "timeout", "busy", "unavailable"].includes(this.code);
  }

  /** Whether the request may have been done all the same. `busy` says that nothing was. */
  get isUnknown() {
    return this.status === 0 || (this.status >= 500 && this.code !== "busy");
  }

  /** Whether the service has judged the request and said no. Who sends it, and how often, is no such judgement. */
  get isJudgement() {
    return this.status >= 400 && this.status < 500 && this.status !== 401 && this.status !== 429;
  }
}

/**
 * The API. `getToken` and `getLanguage` are called at each request; `onSignedOut(error)` once the token no longer
 * counts. Paths begin with `/`.
 */
export function createApi({ getToken, getLanguage, onSignedOut = () => {}, fetch = defaultFetch, sleep = defaultSleep }) {
  async function once(method, path, { body, key, version, signal, accept, token, timeout = TIMEOUT_MS } = {}) {
    const used = token ?? getToken();
    const headers = { Accept: accept ?? "application/json", "Accept-Language": getLanguage() };
    if (used) headers.Authorization = `Bearer ${used}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    if (version !== undefined) headers["If-Match"] = `"${version}"`;
    const limits = [timeout ? AbortSignal.timeout(timeout) : null, signal].filter(Boolean);
    let answer;
    try {
      answer = await fetch(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: limits.length ? AbortSignal.any(limits) : undefined,
        cache: "no-store",
        credentials: "omit",
      });
      if (answer.ok) return accept ? answer : answer.status === 204 ? null : await answer.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(error.name === "TimeoutError" ? "timeout" : "offline");
    }
    const refused = await refusalOf(answer);
    // A token that is being tried is its form's own affair; and one that was replaced meanwhile is nobody's.
    if (refused.status === 401 && token === undefined && used === getToken()) onSignedOut(refused);
    throw refused;
  }

  return {
    /** Read. `token` tries another token than that of the session. */
    get: (path, options) => once("GET", path, options),

    /** Read something that is no JSON: the answer itself. */
    open: (path, accept, options) => once("GET", path, { ...options, accept, timeout: null }),

    /**
     * Change something once. What may have been lost is sent again under the same key, a few times; `onWait(seconds)`
     * is called before each. Without a key it is sent once only.
     */
    async send(method, path, { onWait = () => {}, ...options } = {}) {
      let unknown = false;
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await once(method, path, options);
        } catch (error) {
          unknown ||= error.isUnknown === true;
          error.isUnsettled = unknown && Boolean(options.key) && !error.isJudgement;
          if (!error.isPassing || !options.key || attempt >= ATTEMPTS) throw error;
          const seconds = Math.min(LONGEST_WAIT_S, error.retryAfter ?? attempt);
          onWait(seconds);
          await sleep(seconds * 1000 * (1 + 0.3 * Math.random()));
        }
      }
    },
  };
}

/**
 * What `request()` returns, repeated while the service is busy with the same for somebody else, at most `attempts` times.
 * `onWait()` is called at each such answer.
 */
export async function whenFree(request, { onWait = () => {}, sleep = defaultSleep, attempts = 30 } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request();
    } catch (error) {
      if (error.code !== "busy" || attempt >= attempts) throw error;
      onWait();
      await sleep((error.retryAfter ?? 2) * 1000);
    }
  }
}

async function refusalOf(answer) {
  let body = {};
  try {
    body = await answer.json();
  } catch {
    // a proxy's page in place of a problem
  }
  const seconds = Number(answer.headers.get("Retry-After"));
  return new ApiError(body.code ?? (answer.status >= 502 ? "unavailable" : "internal_error"), {
    status: answer.status,
    title: body.title,
    detail: body.detail,
    retryAfter: Number.isFinite(seconds) && seconds > 0 ? seconds : null,
    errors: Array.isArray(body.errors) ? body.errors : [],
    requestId: body.request_id,
  });
}

const defaultFetch = (...given) => globalThis.fetch(...given);
const defaultSleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
