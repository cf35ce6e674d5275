// How the element looks. A host page changes it by CSS variables and parts; README.md lists them.

export const STYLE = `
:host {
  display: block;
  box-sizing: border-box;
  min-block-size: 11em;
  max-inline-size: 22em;
  padding: 1em;
  border: 1px solid var(--flash-sale-border, color-mix(in srgb, currentColor 22%, transparent));
  border-radius: var(--flash-sale-radius, 12px);
  background: var(--flash-sale-background, transparent);
  color: var(--flash-sale-text, inherit);
  font: var(--flash-sale-font, inherit);
  font-variant-numeric: tabular-nums;
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; margin: 0; font: inherit; color: inherit; }
img { display: block; inline-size: 100%; aspect-ratio: 16 / 9; object-fit: cover; border-radius: 6px; margin-block-end: .75em; }
h2 { font-weight: 600; min-block-size: 1.5em; }
h2, p { overflow-wrap: anywhere; }
:host([data-code=bought]) [part=message] { font-weight: 600; }
[part=line] { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25em .75em; margin-block-start: .25em; min-block-size: 1.5em; }
[part=price] { font-size: 1.25em; font-weight: 700; }
s, [part=stock], [part=state], [part=wait] { opacity: .75; }
form { display: flex; gap: .5em; margin-block: .75em .5em; }
input { inline-size: 4.5em; padding: .5em; border: 1px solid; border-radius: 8px; background: transparent; }
button, a {
  flex: 1;
  padding: .6em 1em;
  border: 0;
  border-radius: 8px;
  background: var(--flash-sale-accent, #b3122a);
  color: var(--flash-sale-accent-text, #fff);
  font-weight: 600;
  text-align: center;
  text-decoration: none;
  cursor: pointer;
}
button:disabled, button[aria-disabled=true] { background: color-mix(in srgb, currentColor 18%, transparent); color: inherit; cursor: default; }
:focus-visible { outline: 3px solid var(--flash-sale-focus, Highlight); outline-offset: 2px; }
[part=unseen] { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;
