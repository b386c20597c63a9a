// One pyramid on the stage: the map, its panel, and the address that brings back what is seen.

import Map from "ol/Map.js";
import View from "ol/View.js";
import { defaults as defaultControls } from "ol/control/defaults.js";
import ScaleLine from "ol/control/ScaleLine.js";
import { getCenter } from "ol/extent.js";
import { h } from "../dom.js";
import { say } from "../dialogs.js";
import { link } from "../route.js";
import { gridLayer, maskLayer, pixelLayer } from "./layers.js";
import { outlines } from "./outline.js";
import { panel } from "./panel.js";
import { pointerPanel } from "./pointer.js";
import { openPyramid } from "./pyramid.js";
import { swipe } from "./swipe.js";

export function stage(main, pyramid, pyramids, query) {
  const { projection, levels } = pyramid;
  const pointer = pointerPanel();
  const target = h("div", { class: "canvas", tabindex: 0, role: "application", "aria-label": `Map of ${pyramid.name}` });
  const state = { grid: false, mask: false, opacity: 1, second: null };
  const outline = outlines(projection);
  const pixels = pixelLayer(pyramid);
  const view = new View({
    projection,
    center: getCenter(pyramid.extent),
    resolution: levels.at(-1).matrix.cellSize,
    minResolution: levels.at(-1).matrix.cellSize / 16,
    maxResolution: levels[0].matrix.cellSize * 16,
    showFullExtent: true,
  });
  const map = new Map({
    layers: [pixels, outline.layer],
    view,
    controls: defaultControls({ attribution: false, rotate: false }).extend([new ScaleLine()]),
  });
  let second = null;
  let gridOverlay = null;
  let maskOverlay = null;

  const actions = { fit, toLevel, setGrid, setMask, setOpacity, setRange, compare };
  const side = panel(pyramid, pyramids, state, actions, pointer.node);
  main.append(h("div", { class: "stage" }, target, pointer.coordinates), side.node);
  map.setTarget(target);
  const divider = swipe(map, pixels, () => remember());
  outline.set("pyramid", pyramid.extent);

  function fit() {
    view.fit(pyramid.extent, { padding: [40, 40, 40, 40], size: map.getSize() });
  }

  function toLevel(z) {
    view.animate({ resolution: levels[z].matrix.cellSize, duration: 250 });
  }

  function toggled(layer, on, make) {
    if (on && !layer) map.addLayer((layer = make(pyramid)));
    layer?.setVisible(on);
    return layer;
  }

  function setGrid(on) {
    state.grid = on;
    gridOverlay = toggled(gridOverlay, on, gridLayer);
    remember();
  }

  function setMask(on) {
    state.mask = on && Boolean(pyramid.mask);
    maskOverlay = toggled(maskOverlay, state.mask, maskLayer);
    remember();
  }

  function setOpacity(value) {
    state.opacity = value;
    pixels.setOpacity(value);
    remember();
  }

  /** Values that are black and white; null: as the server finds good. */
  function setRange(low, high) {
    if (!pyramid.range || (pyramid.range.low === low && pyramid.range.high === high)) return;
    Object.assign(pyramid.range, { low, high });
    pixels.getSource().setKey(`${low} to ${high}`); // tiles with another key are loaded anew
    remember();
  }

  /** Put another pyramid on the right of a divider; null takes it away. */
  async function compare(id) {
    state.second = id;
    if (second) map.removeLayer(second.layer);
    second = null;
    if (id) {
      try {
        const other = await openPyramid(id);
        if (state.second !== id) return;
        second = { pyramid: other, layer: pixelLayer(other) };
        second.layer.setZIndex(2);
        map.addLayer(second.layer);
      } catch (error) {
        say(error.message, "bad");
        state.second = null;
      }
    }
    divider.use(second?.layer ?? null);
    side.follow();
  }

  function look(pixel) {
    const point = map.getCoordinateFromPixel(pixel);
    if (!point) return;
    const chosen = divider.isRight(pixel) ? second.pyramid : pyramid;
    const resolution = chosen === pyramid ? view.getResolution() : view.getResolution() * (unitOf(projection) / unitOf(chosen.projection));
    pointer.at(point, projection, resolution, chosen, outline);
  }

  function remember() {
    const [x, y] = view.getCenter();
    const digits = projection.getUnits() === "degrees" ? 7 : 2;
    const words = { x: x.toFixed(digits), y: y.toFixed(digits), r: Number(view.getResolution().toPrecision(7)) };
    if (state.grid) words.grid = 1;
    if (state.mask) words.mask = 1;
    if (state.opacity < 1) words.o = Math.round(state.opacity * 100);
    if (pyramid.range?.low != null) Object.assign(words, pyramid.range);
    if (state.second) Object.assign(words, { with: state.second, at: Math.round(divider.part * 100) });
    history.replaceState(null, "", link("map", pyramid.id, words));
  }

  /** Do as the address says. */
  function follow(words) {
    const [x, y, r] = ["x", "y", "r"].map((key) => (words.has(key) ? Number(words.get(key)) : NaN));
    if ([x, y, r].every(Number.isFinite) && r > 0) {
      view.setCenter([x, y]);
      view.setResolution(r);
    } else {
      fit();
    }
    setOpacity(words.has("o") ? Math.min(1, Math.max(0, Number(words.get("o")) / 100 || 0)) : 1);
    const [low, high] = ["low", "high"].map((key) => (words.has(key) ? Number(words.get(key)) : NaN));
    if (low < high) setRange(low, high);
    setGrid(words.has("grid"));
    setMask(words.has("mask"));
    if (words.has("at")) divider.set(Number(words.get("at")) / 100 || 0);
    const other = words.get("with");
    compare(pyramids.some((one) => one.id === other) ? other : null);
    side.follow();
  }

  let last = null; // where the pointer is; the middle counts when it is elsewhere
  map.on("pointermove", (event) => {
    last = event.pixel;
    if (!event.dragging) look(last);
  });
  map.on("click", (event) => look(event.pixel));
  target.addEventListener("pointerleave", () => (last = null));
  map.on("moveend", () => {
    remember();
    side.level(pyramid.grid.getZForResolution(view.getResolution()));
    look(last ?? map.getSize().map((side) => side / 2));
  });
  const resized = new ResizeObserver(() => map.updateSize());
  resized.observe(target);
  map.updateSize();
  follow(query);

  return {
    follow,
    stop() {
      resized.disconnect();
      map.setTarget(null);
      map.dispose();
    },
  };
}

/** Metres in a unit of a projection. */
function unitOf(projection) {
  return projection.getMetersPerUnit() || 1;
}
