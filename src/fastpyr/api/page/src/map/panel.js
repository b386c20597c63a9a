// The panel beside the map.

import { facts, h, icon } from "../dom.js";
import { cellSize, plural } from "../format.js";
import { go } from "../route.js";

export function panel(pyramid, pyramids, state, actions, pointerNode) {
  const { about, levels, projection } = pyramid;
  const names = (chosen) => pyramids.map((one) => h("option", { value: one.id, selected: one.id === chosen }, one.name));
  const first = h("select", { id: "pyramid", "aria-label": "Pyramid", on: { change: () => go("map", first.value) } }, names(pyramid.id));
  const second = h("select", { id: "compare", on: { change: () => actions.compare(second.value || null) } },
    h("option", { value: "" }, "nothing"), pyramids.filter((one) => one.id !== pyramid.id).map((one) => h("option", { value: one.id }, one.name)));
  const grid = tick("grid", "Tile grid", actions.setGrid);
  const mask = tick("mask", "Nodata mask", actions.setMask);
  mask.disabled = !pyramid.mask;
  const shown = h("output", {}, "100 %");
  const opacity = h("input", {
    type: "range", id: "opacity", min: 0, max: 100,
    on: { input: () => (actions.setOpacity(opacity.value / 100), (shown.textContent = `${opacity.value} %`)) },
  });
  const steps = levels.map((level, z) =>
    h("button", { class: "level", type: "button", title: `${plural(countOf(level), "tile")} within the limits`, on: { click: () => actions.toLevel(z) } },
      h("b", {}, level.id), h("span", {}, cellSize(level.matrix.cellSize, projection.getUnits()))));

  function tick(id, title, act) {
    const box = h("input", { type: "checkbox", id, on: { change: () => act(box.checked) } });
    box.title = title;
    return box;
  }

  const values = pyramid.range && rangeFields(pyramid.range, actions.setRange);
  const node = h("aside", { class: "panel", "aria-label": "Map options" },
    h("div", { class: "block" }, first,
      h("button", { class: "quiet", type: "button", id: "fit", on: { click: actions.fit } }, icon("fit"), "Fit to extent")),
    h("div", { class: "block" },
      h("label", { class: "tick" }, grid, h("span", {}, "Tile grid")),
      h("label", { class: "tick" }, mask, h("span", {}, pyramid.mask ? "Nodata mask" : "Nodata mask (it has none)")),
      h("label", {}, h("span", { class: "line" }, "Opacity", shown), opacity),
      values?.node,
      h("label", {}, "Compare with", second)),
    h("div", { class: "block" }, pointerNode),
    h("div", { class: "block" }, h("h3", {}, "Levels"), h("div", { class: "levels" }, steps)),
    h("div", { class: "block" }, h("h3", {}, "Pyramid"), facts([
      ["Tile matrix set", about.tms], ["Reference system", about.crs], ["Format", about.format],
      ["Channels", about.channels], ["Nodata", about.nodata.join(", ")],
      ["Tiles below", plural(countOf(levels.at(-1)), "tile")],
    ])));

  return {
    node,
    /** Show what is set. */
    follow() {
      grid.checked = state.grid;
      mask.checked = state.mask;
      opacity.value = Math.round(state.opacity * 100);
      shown.textContent = `${opacity.value} %`;
      second.value = state.second || "";
      values?.follow();
    },
    level(z) {
      steps.forEach((step, i) => (i === z ? step.setAttribute("aria-current", "true") : step.removeAttribute("aria-current")));
    },
  };
}

/** From which value to which one pixels go from black to white. */
function rangeFields(range, set) {
  const [low, high] = ["low", "high"].map((id) =>
    h("input", { type: "number", step: "any", id, placeholder: "auto", "aria-label": `${id === "low" ? "Black" : "White"} from`, on: { change } }));
  function change() {
    const [from, to] = [low, high].map((field) => (field.value === "" ? null : Number(field.value)));
    const isWrong = from !== null && to !== null && from >= to;
    high.setCustomValidity(isWrong ? "White must be above black." : "");
    high.reportValidity();
    if (!isWrong) set(...((from === null) === (to === null) ? [from, to] : [null, null]));
  }
  return {
    node: h("div", { class: "range" }, h("span", {}, "Values from black to white"), low, high),
    follow() {
      low.value = range.low ?? "";
      high.value = range.high ?? "";
    },
  };
}

function countOf(level) {
  const { min_col, max_col, min_row, max_row } = level.tile_limits;
  return (max_col - min_col + 1) * (max_row - min_row + 1);
}
