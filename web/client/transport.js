// Requests to the API, and their answers as values or as SeckillError.

import { SeckillError, aborted, isTransient } from "./errors.js";
import { attempt } from "./platform.js";

const TIMEOUT = 8000; // milliseconds for one request
const FIRST_WAIT = 400; // milliseconds, doubled each time
const LONGEST_WAIT = 8000;
export const JITTER = 0.3;

export function createTransport({ baseUrl, token, getToken, language, platform }) {
  const base = String(baseUrl ?? "").replace(/\/+$/, "");
  let lastToken = null;

  async function takeToken(renew) {
    let given;
    try {
      given = getToken ? await getToken({ renew }) : token;
    } catch (cause) {
      throw new SeckillError("unauthenticated", { cause });
    }
    if (!given) throw new SeckillError("unauthenticated");
    return (lastToken = given);
  }

  /** Runs `work` with a token, and once more with a new one if the first is not taken. */
  async function withToken(work) {
    const first = await takeToken(false);
    try {
      return await work(first);
    } catch (error) {
      if (error.status !== 401 || !getToken) throw error;
      const second = await takeToken(true);
      if (second === first) throw error;
      return work(second);
    }
  }

  /** One request. Returns {status, body, etag, pollAfter, serverTime, replayed, sentAt, sentOn, receivedAt}. */
  async function send(method, path, { body, token, key, etag, query, signal } = {}) {
    const headers = { Accept: "application/json" };
    if (language) headers["Accept-Language"] = language;
    if (token) headers.Authorization = `Bearer ${token}`;
    if (key) headers["Idempotency-Key"] = key;
    if (etag) headers["If-None-Match"] = etag;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const controller = new AbortController();
    let late = false;
    const timer = platform.setTimeout(() => controller.abort((late = true)), TIMEOUT);
    const giveUp = () => controller.abort();
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp);
    const sentAt = platform.now();
    const sentOn = platform.date();
    try {
      const response = await platform.fetch(base + path + search(query), {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: controller.signal,
        // The browser's own cache would hand out an old `server_time` as if it were new.
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
      const answer = {
        status: response.status,
        etag: response.headers.get("ETag"),
        pollAfter: milliseconds(response.headers.get("Poll-After"), platform),
        serverTime: response.headers.get("Server-Time"),
        replayed: response.headers.get("Idempotent-Replayed") === "true",
        sentAt,
        sentOn,
        receivedAt: platform.now(),
      };
      const text = await response.text();
      answer.body = response.ok && text ? JSON.parse(text) : null;
      if (!response.ok && response.status !== 304) throw problem(response, text, platform);
      return answer;
    } catch (cause) {
      if (cause instanceof SeckillError) throw cause;
      if (signal?.aborted) throw aborted(cause);
      throw new SeckillError(late ? "timeout" : cause instanceof SyntaxError ? "invalid_answer" : "network_error", { cause });
    } finally {
      platform.clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Repeats what may be repeated, a few times: reads, and changes under one key. */
  async function repeat(work, { signal, attempts = 4 } = {}) {
    for (let tried = 1; ; tried++) {
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error) || tried >= attempts || error.retryAfter > LONGEST_WAIT) throw error;
        await sleep(waitAfter(error, tried, platform), platform, signal);
      }
    }
  }

  return { base, takeToken, send, withToken, repeat, lastToken: () => lastToken };
}

/** Milliseconds to wait after failure number `tried`: no less than the server asks for, and never in step with others. */
export function waitAfter(error, tried, platform) {
  const wait = Math.max(Math.min(FIRST_WAIT * 2 ** (tried - 1), LONGEST_WAIT), error.retryAfter ?? 0);
  return Math.round(wait * (1 + JITTER * platform.random()));
}

export function sleep(wait, platform, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted());
    const stop = () => {
      platform.clearTimeout(timer);
      reject(aborted());
    };
    const timer = platform.setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, wait);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function problem(response, text, platform) {
  const body = attempt(() => JSON.parse(text), {});
  const { type, title, status, code, detail, ...details } = body;
  const retryAfter = milliseconds(response.headers.get("Retry-After"), platform);
  return new SeckillError(typeof code === "string" ? code : "invalid_answer", {
    status: response.status,
    retryAfter,
    details,
    message: detail ?? title ?? `HTTP ${response.status}`,
  });
}

function milliseconds(header, platform) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? header * 1000 : Date.parse(header) - platform.date();
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}

function search(query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
