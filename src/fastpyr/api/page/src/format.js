// Figures for people.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes with three digits: 4.97 MB. */
export function bytes(count) {
  if (count === undefined || count === null) return "";
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export function date(text) {
  return text ? DATE.format(new Date(text)) : "";
}

/** How long ago, coarsely. */
export function ago(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  if (seconds < 60) return "just now";
  for (const [unit, length, next] of [["min", 60, 3600], ["h", 3600, 86400], ["d", 86400, Infinity]])
    if (seconds < next) return `${Math.floor(seconds / length)} ${unit} ago`;
  return "";
}

export function duration(from, to) {
  if (!from) return "";
  const seconds = Math.max(0, (new Date(to || Date.now()) - new Date(from)) / 1000);
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function percent(part) {
  return `${Math.floor(part * 100)} %`;
}

/** A length in the unit of a projection, with as many digits as make sense. */
export function cellSize(value, unit) {
  return `${Number(value.toPrecision(4)).toString()} ${unit === "degrees" ? "°" : "m"}`;
}

/** West, south, east, north of a GeoJSON polygon. */
export function boxOf(extent) {
  const points = extent?.coordinates?.flat(extent.type === "MultiPolygon" ? 2 : 1);
  if (!points?.length) return null;
  const [xs, ys] = [points.map((one) => one[0]), points.map((one) => one[1])];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

export function boxText(extent) {
  const box = boxOf(extent);
  if (!box) return "";
  const [west, south, east, north] = box.map((value) => value.toFixed(4));
  return `${west}° to ${east}° E, ${south}° to ${north}° N`;
}
