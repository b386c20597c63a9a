// Outlines: of the pyramid, and of the tile and the slab under the pointer.

import Feature from "ol/Feature.js";
import { fromExtent } from "ol/geom/Polygon.js";
import VectorLayer from "ol/layer/Vector.js";
import { transformExtent } from "ol/proj.js";
import VectorSource from "ol/source/Vector.js";
import { Stroke, Style } from "ol/style.js";

const stroke = (color, width, lineDash) => new Style({ stroke: new Stroke({ color, width, lineDash }) });
const STYLES = {
  pyramid: [stroke("rgba(255,255,255,.6)", 3), stroke("rgba(70,90,160,.9)", 1, [6, 5])],
  slab: [stroke("rgba(255,255,255,.7)", 4), stroke("#3457d5", 2)],
  tile: [stroke("rgba(255,255,255,.8)", 4), stroke("#e0218a", 2)],
};

export function outlines(projection) {
  const source = new VectorSource();
  const layer = new VectorLayer({
    source, zIndex: 9, className: "outlines",
    style: (feature) => STYLES[feature.get("kind")],
  });
  /** Outline a box in a projection; null takes it away. */
  function set(kind, box, from = projection) {
    const old = source.getFeatureById(kind);
    if (old) source.removeFeature(old);
    if (!box) return;
    const feature = new Feature({ kind, geometry: fromExtent(transformExtent(box, from, projection)) });
    feature.setId(kind);
    source.addFeature(feature);
  }
  return { layer, set };
}

/** Boxes of a tile and of the slab it is in. */
export function boxesOf(pyramid, z, x, y) {
  const { tiles_per_width: perWidth, tiles_per_height: perHeight, matrix } = pyramid.levels[z];
  const [left, top] = matrix.pointOfOrigin;
  const [width, height] = [matrix.tileWidth * matrix.cellSize, matrix.tileHeight * matrix.cellSize];
  const box = (col, row, cols, rows) => [
    left + col * width, top - (row + rows) * height, left + (col + cols) * width, top - row * height,
  ];
  const [slabCol, slabRow] = [Math.floor(x / perWidth), Math.floor(y / perHeight)];
  return { tile: box(x, y, 1, 1), slab: box(slabCol * perWidth, slabRow * perHeight, perWidth, perHeight) };
}
