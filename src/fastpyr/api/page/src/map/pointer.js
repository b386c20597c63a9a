// What is under the pointer: coordinates at once, the tile's facts a moment later.

import { transform } from "ol/proj.js";
import { json } from "../api.js";
import { h } from "../dom.js";
import { bytes } from "../format.js";
import { boxesOf } from "./outline.js";
import { geographic, holds } from "./pyramid.js";

const WAIT = 60;
const KEPT = 500;

export function pointerPanel() {
  const fields = {};
  const field = (name, title) => {
    fields[name] = h("dd", { "data-fact": name }, "–");
    return h("div", {}, h("dt", {}, title), fields[name]);
  };
  const node = h("section", { class: "pointer" },
    h("h3", {}, "Under the pointer"),
    h("dl", { class: "facts tight" },
      field("pyramid", "Pyramid"), field("level", "Level"), field("tile", "Tile (column, row)"), field("bytes", "Tile size"), field("state", "Holds"),
      field("slab", "Slab"), field("slab-bytes", "Slab size"), field("place", "In the slab")));
  const coordinates = h("output", { class: "coordinates", "aria-label": "Coordinates" });
  const known = new Map();
  let timer = 0;
  let now = null;

  async function factsOf(url) {
    if (!known.has(url)) {
      if (known.size >= KEPT) known.clear();
      known.set(url, await json(url));
    }
    return known.get(url);
  }

  const put = (values) => {
    for (const [name, dd] of Object.entries(fields)) if (name in values) dd.textContent = values[name] ?? "–";
  };

  function showPlace(point, projection) {
    const isDegrees = projection.getUnits() === "degrees";
    const [x, y] = point.map((value) => value.toFixed(isDegrees ? 6 : 2));
    const there = geographic(point, projection);
    const lonLat = there && !isDegrees ? `   ${there[0].toFixed(6)}°, ${there[1].toFixed(6)}°` : "";
    coordinates.textContent = `${projection.getCode()}  ${x}, ${y}${lonLat}`;
  }

  async function showTile(pyramid, url) {
    try {
      const { slab, tile } = await factsOf(url);
      if (now !== url) return;
      put({
        bytes: tile.bytes ? `${bytes(tile.bytes)} (${tile.bytes.toLocaleString("en")} B)` : "0 B", state: `${tile.state}, ${tile.format}`,
        slab: slab && `${slab.column}, ${slab.row} · ${slab.name}`, "slab-bytes": slab && bytes(slab.bytes),
        place: tile.offset === null ? null : `no. ${tile.index}, at byte ${tile.offset.toLocaleString("en")}`,
      });
    } catch (error) {
      if (now === url) put({ state: error.message });
    }
  }

  /** Show what is at a point of the view, as `pyramid` has it. */
  function at(point, viewProjection, resolution, pyramid, outline) {
    showPlace(point, viewProjection);
    const own = transform(point, viewProjection, pyramid.projection);
    const z = pyramid.grid.getZForResolution(resolution);
    const [, x, y] = pyramid.grid.getTileCoordForCoordAndZ(own, z);
    const level = pyramid.levels[z];
    const inside = holds(level, x, y);
    const url = pyramid.facts(z, x, y);
    put({ pyramid: pyramid.name, level: level.id, tile: `${x}, ${y}` });
    if (now === url) return;
    now = url;
    const boxes = boxesOf(pyramid, z, x, y);
    for (const kind of ["slab", "tile"]) outline.set(kind, inside ? boxes[kind] : null, pyramid.projection);
    put({ bytes: null, state: inside ? "…" : "outside the pyramid", slab: null, "slab-bytes": null, place: null });
    clearTimeout(timer);
    if (inside) timer = setTimeout(() => showTile(pyramid, url), WAIT);
  }
  return { node, coordinates, at };
}
