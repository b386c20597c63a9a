// Elements, made without ever parsing text as HTML: names come from anybody.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes; `on` holds listeners, `class` the class; children are nodes or texts. */
export function h(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (key === "value" || key === "checked" || key === "disabled") made[key] = value;
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const ICONS = {
  upload: "M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
  gear: "M5 12h3m8 0h3M5 6h9m4 0h1M5 18h1m4 0h9M8 10v4h4v-4zM14 4v4h4V4zM6 16v4h4v-4z",
  layers: "m12 3 9 5-9 5-9-5zm-9 9 9 5 9-5M3 16l9 5 9-5",
  map: "m9 4-6 2v14l6-2 6 2 6-2V4l-6 2zM9 4v14m6-12v14",
  play: "M7 4v16l13-8z",
  theme: "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9z",
  book: "M4 5a2 2 0 0 1 2-2h14v16H6a2 2 0 0 0-2 2zm0 14V5m4 3h8m-8 4h5",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5m11-5v5h-5",
  back: "M15 5l-7 7 7 7",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4m-4-4h9",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** The mark of the page: a pyramid of tiles. */
export function mark() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  for (const [x, y, tone] of [
    [12, 4, 1], [7, 12.5, 2], [17, 12.5, 3], [2, 21, 3], [12, 21, 2], [22, 21, 1],
  ]) {
    const tile = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({ x, y, width: 8, height: 7, rx: 1.5, class: `tone${tone}` }))
      tile.setAttribute(key, value);
    svg.append(tile);
  }
  return svg;
}

/** Put `children` in, unless what they show is there already. `key`: what they show. */
export function refill(place, key, children) {
  const text = JSON.stringify(key);
  if (place.shownKey === text) return;
  place.shownKey = text;
  const focused = place.contains(document.activeElement) ? document.activeElement.id || null : null;
  place.replaceChildren(...children().flat(Infinity).filter(Boolean));
  if (focused) document.getElementById(focused)?.focus();
}

/** A list of terms and values; values that are not there are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", { class: "facts" }, known.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

export function chip(status) {
  return h("span", { class: `chip ${String(status).toLowerCase()}` }, String(status));
}

export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, mark(), h("h3", {}, title), h("p", {}, text), ...more);
}
