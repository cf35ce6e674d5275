// What views do with the API: load, act once, watch.
import { useEffect, useMemo, useRef, useState } from "../lib.js";
import { createKeyring, randomKey, storedKeys } from "../keys.js";
import { startPoll } from "../poll.js";
import { duration } from "../format.js";
import { t } from "../i18n.js";

/** Load something when the view opens, and whenever `inputs` change: `{data, error, loading, reload, set}`. */
export function useLoad(load, inputs) {
  const [state, setState] = useState({ data: null, error: null, loading: true });
  const latest = useRef(null);
  const reload = async () => {
    latest.current?.abort();
    const mine = (latest.current = new AbortController());
    setState((before) => ({ ...before, loading: true }));
    try {
      const data = await load(mine.signal);
      if (!mine.signal.aborted) setState({ data, error: null, loading: false });
    } catch (error) {
      if (!mine.signal.aborted) setState((before) => ({ data: before.data, error, loading: false }));
    }
  };
  useEffect(() => {
    setState({ data: null, error: null, loading: true });
    reload();
    return () => latest.current?.abort();
  }, inputs);
  return { ...state, reload, set: (data) => setState({ data, error: null, loading: false }) };
}

/** A list in pages: `load(cursor, signal)` answers `{items, next_cursor}`; `more()` adds the next page. */
export function usePages(load, inputs) {
  const first = useLoad((signal) => load(null, signal), inputs);
  const [adding, setAdding] = useState({ busy: false, error: null });
  const more = async () => {
    if (adding.busy) return;
    const from = first.data;
    setAdding({ busy: true, error: null });
    try {
      const page = await load(from.next_cursor, undefined);
      first.set({ items: [...from.items, ...page.items], next_cursor: page.next_cursor });
      setAdding({ busy: false, error: null });
    } catch (error) {
      setAdding({ busy: false, error });
    }
  };
  return { ...first, more, adding };
}

/**
 * A change that is made once for each intention. `act(request, {key, onWait})` sends it. A press while it runs is
 * ignored; one after it, for the same request, goes out under the same key, until `renew()` says that it is meant anew.
 * While it is unknown whether a request was done, `renew()` does not end its key; nor does a reload of the page, where
 * the control has a `name` of its own.
 */
export function useAction(act, after = () => {}, name = null) {
  const keyring = useMemo(() => createKeyring(randomKey, name ? storedKeys(name) : undefined), [name]);
  const running = useRef(false);
  const alive = useRef(true);
  const [state, setState] = useState({ busy: false, error: null, wait: null, done: null });
  const set = (next) => alive.current && setState(next);
  useEffect(() => () => (alive.current = false), []);

  const run = async (request = {}) => {
    if (running.current) return;
    running.current = true;
    set({ busy: true, error: null, wait: null, done: null });
    const key = keyring.keyFor(request);
    const wasInDoubt = keyring.isInDoubt(request);
    keyring.doubt(request, key); // ahead of the answer: the page may be gone before it
    try {
      const onWait = (seconds) => set({ busy: true, error: null, wait: Math.ceil(seconds), done: null });
      const done = await act(request, { key, onWait });
      keyring.settle(request);
      set({ busy: false, error: null, wait: null, done: done ?? true });
      if (alive.current) after(done, request);
    } catch (error) {
      if (error.isJudgement || !(error.isUnsettled || wasInDoubt)) keyring.settle(request);
      set({ busy: false, error, wait: null, done: null });
    } finally {
      running.current = false;
    }
  };
  const renew = () => {
    keyring.renew();
    if (!running.current) set({ busy: false, error: null, wait: null, done: null });
  };
  return { ...state, run, renew };
}

/** Poll every `seconds` while the page is seen: `{data, error, wait, now}`; `wait` are the ms until the next try. */
export function usePoll(load, seconds, inputs) {
  const [state, setState] = useState({ data: null, error: null, wait: null });
  const poll = useRef(null);
  useEffect(() => {
    setState({ data: null, error: null, wait: null });
    poll.current = startPoll({
      every: seconds * 1000,
      load: async (signal) => {
        const data = await load(signal);
        if (!signal.aborted) setState({ data, error: null, wait: null });
      },
      onError: (error, wait) => setState((before) => ({ data: before.data, error, wait })),
    });
    return () => poll.current.end();
  }, inputs);
  return { ...state, now: () => poll.current?.now(), set: (data) => setState({ data, error: null, wait: null }) };
}

/** Seconds as text in the visitor's language. */
export const seconds = (value) =>
  duration(value, { d: t("unit.d"), h: t("unit.h"), min: t("unit.min"), s: t("unit.s") });
