// Layers of the map: pixels, masks, the grid of tiles.

import TileState from "ol/TileState.js";
import TileLayer from "ol/layer/Tile.js";
import TileImage from "ol/source/TileImage.js";
import { request, token } from "../api.js";
import { holds } from "./pyramid.js";

const TINT = [217, 30, 120, 150];
const LINES = "#e0218a";

function source(pyramid, url, load) {
  return new TileImage({
    projection: pyramid.projection,
    tileGrid: pyramid.grid,
    wrapX: false,
    transition: 0,
    tileUrlFunction: ([z, x, y]) => (holds(pyramid.levels[z], x, y) ? url(z, x, y) : undefined),
    tileLoadFunction: (tile, address) => load(tile, address).catch(() => tile.setState(TileState.ERROR)),
  });
}

function layer(pyramid, url, load, options) {
  // far beyond the coarsest level there would be more and more tiles of a few pixels each
  const maxResolution = pyramid.levels[0].matrix.cellSize * 16;
  return new TileLayer({ source: source(pyramid, url, load), maxResolution, preload: 1, ...options });
}

async function bitmapOf(url) {
  return createImageBitmap(await (await request(url)).blob());
}

/** Straight from the address, unless a token must be sent along. */
async function loadPixels(tile, url) {
  const image = tile.getImage();
  if (!token()) {
    image.src = url;
    return;
  }
  const address = URL.createObjectURL(await (await request(url)).blob());
  for (const event of ["load", "error"]) image.addEventListener(event, () => URL.revokeObjectURL(address), { once: true });
  image.src = address;
}

export function pixelLayer(pyramid) {
  return layer(pyramid, pyramid.tile, loadPixels, { className: "pixels", zIndex: 1 });
}

/** What is no data, tinted. */
export function maskLayer(pyramid) {
  return layer(pyramid, pyramid.mask, loadMask, { className: "overlay", zIndex: 5 });
}

async function loadMask(tile, url) {
  const bitmap = await bitmapOf(url);
  const canvas = canvasOf(bitmap.width, bitmap.height);
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    const isData = data[i] !== 0;
    for (let band = 0; band < 4; band += 1) data[i + band] = isData ? 0 : TINT[band];
  }
  pen.putImageData(pixels, 0, 0);
  tile.setImage(canvas);
}

/** Edges and names of tiles; those of slabs are thicker. */
export function gridLayer(pyramid) {
  const url = (z, x, y) => `${z}/${x}/${y}`;
  return layer(pyramid, url, async (tile, address) => tile.setImage(drawnEdges(pyramid, ...address.split("/").map(Number))), {
    className: "overlay", zIndex: 6, preload: 0,
  });
}

function drawnEdges(pyramid, z, x, y) {
  const { id, matrix, tiles_per_width: perWidth, tiles_per_height: perHeight } = pyramid.levels[z];
  const canvas = canvasOf(matrix.tileWidth, matrix.tileHeight);
  const pen = canvas.getContext("2d");
  const edge = (isSlab, ...box) => {
    pen.globalAlpha = isSlab ? 1 : 0.55;
    pen.fillRect(...box.map((side) => side ?? (isSlab ? 3 : 1)));
  };
  pen.fillStyle = LINES;
  edge(x % perWidth === 0, 0, 0, undefined, canvas.height);
  edge(y % perHeight === 0, 0, 0, canvas.width, undefined);
  pen.globalAlpha = 1;
  pen.font = "600 12px system-ui, sans-serif";
  pen.lineWidth = 3;
  pen.strokeStyle = "#fff";
  const text = `${id} / ${x} / ${y}`;
  pen.strokeText(text, 8, 18);
  pen.fillText(text, 8, 18);
  return canvas;
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}
