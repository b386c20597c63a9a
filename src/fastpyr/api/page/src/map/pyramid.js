// A pyramid as the map needs it: its projection, its grid, where its tiles are.

import { Projection, addProjection, get as knownProjection } from "ol/proj.js";
import { register } from "ol/proj/proj4.js";
import TileGrid from "ol/tilegrid/TileGrid.js";
import proj4 from "proj4";
import { json } from "../api.js";

/** Everything about a pyramid that does not change while it is looked at. */
export async function openPyramid(id) {
  const root = `/tiles/${encodeURIComponent(id)}`;
  const [document, tms] = await Promise.all([json(`${root}/tilejson.json`), json(`${root}/tms.json`)]);
  const about = document.fastpyr;
  const matrices = new Map(tms.tileMatrices.map((matrix) => [matrix.id, matrix]));
  const levels = about.levels
    .map((level) => ({ ...level, matrix: matrices.get(level.id) }))
    .sort((a, b) => b.matrix.cellSize - a.matrix.cellSize);
  const projection = projectionOf(about.crs, tms.proj4);
  const direct = /\.(jpe?g|png)$/.exec(new URL(document.tiles[0], location.href).pathname);
  const at = (kind) => (z, x, y) => `${root}/${kind}${encodeURIComponent(levels[z].id)}/${x}/${y}`;
  const range = about.format.endsWith("FLOAT32") ? { low: null, high: null } : null;
  const stretched = () => (range?.low != null && range.high != null ? `?min=${range.low}&max=${range.high}` : "");
  return {
    id,
    range, // of values, from black to white; null for pixels that are pictures already
    name: document.name,
    about,
    levels,
    projection,
    extent: about.bounds,
    grid: gridOf(levels, about.bounds),
    tile: direct ? (z, x, y) => at("")(z, x, y) + direct[0] : (z, x, y) => `${at("view/")(z, x, y)}.png${stretched()}`,
    mask: about.masks ? (z, x, y) => `${at("mask/")(z, x, y)}.png` : null,
    facts: at("facts/"),
  };
}

function gridOf(levels, extent) {
  return new TileGrid({
    extent,
    resolutions: levels.map(({ matrix }) => matrix.cellSize),
    origins: levels.map(({ matrix }) => matrix.pointOfOrigin),
    tileSizes: levels.map(({ matrix }) => [matrix.tileWidth, matrix.tileHeight]),
    sizes: levels.map(({ matrix }) => [matrix.matrixWidth, matrix.matrixHeight]),
  });
}

/** The projection of a reference system; the browser has no grids of datum shifts, so those are left out. */
function projectionOf(code, text) {
  const known = knownProjection(code);
  if (known) return known;
  try {
    proj4.defs(code, text.replace(/\+nadgrids=(?!@null)\S+/, ""));
    register(proj4);
    const found = knownProjection(code);
    if (found) return found;
  } catch {
    // one that proj4 does not know: the map works, longitudes and latitudes are not shown
  }
  const plain = new Projection({ code, units: text.includes("+proj=longlat") ? "degrees" : "m" });
  addProjection(plain);
  return plain;
}

/** Whether a level has that tile. */
export function holds(level, x, y) {
  const { min_col, max_col, min_row, max_row } = level.tile_limits;
  return x >= min_col && x <= max_col && y >= min_row && y <= max_row;
}

/** Longitude and latitude of a point; null where they cannot be told. */
export function geographic(point, projection) {
  if (projection.getUnits() === "degrees") return point;
  try {
    const found = proj4(projection.getCode(), "WGS84", [...point]);
    return found.every(Number.isFinite) ? found : null;
  } catch {
    return null;
  }
}
