// Preact and htm, in one place: views import from here, and never set HTML from text.
import { Fragment, h, render } from "../vendor/preact-11.2.0/preact.js";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-11.2.0/hooks.js";
import htm from "../vendor/htm-3.1.1/htm.js";

export const html = htm.bind(h);
export { Fragment, h, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState };

let ids = 0;

/** An id for a label and its field, the same over the life of a component. */
export function useId(prefix = "f") {
  const [id] = useState(() => `${prefix}${++ids}`);
  return id;
}
