// One tab at a time. Two tabs that act at once send the same key all the same: the lock only spares the second one's
// requests, so a tab that is frozen with it is not waited for for long.

import { aborted } from "./errors.js";
import { attempt } from "./platform.js";
import { sleep } from "./transport.js";

const PATIENCE = 15_000; // milliseconds that another tab is waited for
const LEASE = 4000; // milliseconds after which a lease that is not renewed is free
const LOOK = 100;

/** Runs `work` while no other tab runs its own under `name`, or after PATIENCE. `onWait` is called if it has to wait. */
export function exclusively(name, { platform, signal, onWait }, work) {
  return platform.locks ? locked(name, platform, signal, onWait, work) : leased(name, platform, signal, onWait, work);
}

async function locked(name, platform, signal, onWait, work) {
  let begun;
  const begin = () => (begun ??= work());
  const waiting = new AbortController();
  const stop = () => waiting.abort();
  const timer = platform.setTimeout(stop, PATIENCE);
  signal?.addEventListener("abort", stop);
  try {
    await platform.locks.request(name, { ifAvailable: true }, (lock) => lock && begin());
    if (begun) return await begun;
    onWait();
    return await platform.locks.request(name, { signal: waiting.signal }, begin);
  } catch (error) {
    if (begun) throw error;
    if (signal?.aborted) throw aborted(error);
    return begin(); // the other tab took too long, or this page may not lock
  } finally {
    platform.clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

// Storage has no "set if absent": two tabs may both believe that they have the lease. Then both send the same key.
async function leased(name, platform, signal, onWait, work) {
  const { storage } = platform;
  const mine = platform.id();
  const take = () => attempt(() => storage.setItem(name, JSON.stringify({ mine, until: platform.date() + LEASE })));
  const holder = () => attempt(() => JSON.parse(storage.getItem(name)));
  const isTaken = (lease) => lease && lease.mine !== mine && lease.until > platform.date() && lease.until <= platform.date() + LEASE;
  if (isTaken(holder())) onWait();
  for (let waited = 0; waited < PATIENCE && isTaken(holder()); waited += LOOK) await sleep(LOOK, platform, signal);
  take();
  let timer;
  const renew = () => (timer = platform.setTimeout(() => (take(), renew()), LEASE / 4));
  renew();
  try {
    return await work();
  } finally {
    platform.clearTimeout(timer);
    if (holder()?.mine === mine) attempt(() => storage.removeItem(name));
  }
}
