// A chart of values over time. Lines are SVG, letters are HTML: both take their colours from the style sheet, in light,
// dark and print alike.
import { html, useId, useRef, useState } from "../lib.js";
import { area, axis, highest, indexAt, line } from "../chart_lines.js";
import { clock, figure } from "../format.js";
import { locale, t } from "../i18n.js";

const WIDTH = 600;
const HEIGHT = 100;

/**
 * `series`: `{name, label, values, step, filled}`, all of one length, at `start` (ms) and every `seconds` after.
 * `say(value)` puts a value into words; `whole` keeps the marks of the axis whole.
 */
export function Chart({ title, series, start, seconds, say = (value) => figure(value, locale()), whole = false, wide = false }) {
  const id = useId("c");
  const plot = useRef(null);
  const [at, setAt] = useState(null);
  const length = series[0]?.values.length ?? 0;
  const { max, marks } = axis(highest(series), whole);
  const box = { width: WIDTH, height: HEIGHT, max };
  const moment = (index) => clock(new Date(start + index * seconds * 1000), locale());
  const point = (event) => {
    const { left, width } = plot.current.getBoundingClientRect();
    setAt(indexAt((event.clientX - left) / width, length));
  };
  const move = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
    if (event.key === "Escape") setAt(null);
    if (!step) return;
    event.preventDefault();
    setAt((before) => Math.max(0, Math.min(length - 1, (before ?? length - 1) + step)));
  };
  const shown = at === null ? null : Math.min(at, length - 1);
  const x = shown === null || length < 2 ? 0 : (shown / (length - 1)) * 100;

  return html`<figure class=${`chart ${wide ? "wide" : ""}`} aria-labelledby=${id}>
    <figcaption>
      <span id=${id} class="chart-title">${title}</span>
      <span class="readout small number">${shown === null ? "" : moment(shown)}</span>
    </figcaption>
    <div class="chart-body">
      <div class="y-axis small muted number" aria-hidden="true">
        ${marks.map((mark) => html`<span key=${mark} style=${{ bottom: `${(mark / max) * 100}%` }}>${say(mark)}</span>`)}
      </div>
      <div
        class="plot"
        ref=${plot}
        tabindex="0"
        role="img"
        aria-label=${summary(title, series, say)}
        onPointerMove=${point}
        onPointerLeave=${() => setAt(null)}
        onKeyDown=${move}
        onBlur=${() => setAt(null)}
      >
        <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          ${marks.map((mark) => html`<line key=${mark} class="rule" x1="0" x2=${WIDTH} y1=${HEIGHT - (mark / max) * HEIGHT} y2=${HEIGHT - (mark / max) * HEIGHT} />`)}
          ${series.map((one, index) => html`<g key=${one.name} class=${`series s${index % 6}`}>
            ${one.filled && html`<path class="area" d=${area(one.values, { ...box, step: one.step })} />`}
            <path class="line" d=${line(one.values, { ...box, step: one.step })} />
          </g>`)}
        </svg>
        ${shown !== null && html`<div class="cursor" style=${{ left: `${x}%` }}></div>`}
      </div>
      <div class="x-axis small muted number" aria-hidden="true">
        ${length > 0 && [0, Math.floor((length - 1) / 2), length - 1].map((index, place) => html`<span key=${place}>${moment(index)}</span>`)}
      </div>
    </div>
    <${Legend} series=${series} shown=${shown} say=${say} />
  </figure>`;
}

/** Which line is which, with their newest values, or those under the pointer. */
function Legend({ series, shown, say }) {
  return html`<ul class="legend small">
    ${series.map(
      (one, index) => html`<li key=${one.name} class=${`s${index % 6}`}>
        <span class="swatch" aria-hidden="true"></span>${one.label} <strong class="number">${say(one.values[shown ?? one.values.length - 1] ?? null)}</strong>
      </li>`,
    )}
  </ul>`;
}

const summary = (title, series, say) =>
  `${title}: ${series
    .map(({ label, values }) => t("chart.summary", { label, now: say(values.at(-1) ?? null), most: say(highest([{ values }])) }))
    .join("; ")}`;
