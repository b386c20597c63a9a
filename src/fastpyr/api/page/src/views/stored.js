// Stored data: the pyramids that are there.

import { get, send } from "../api.js";
import { attempt, confirm } from "../dialogs.js";
import { chip, empty, facts, h, icon, refill } from "../dom.js";
import { ago, boxText, bytes, date, plural } from "../format.js";
import { go, link } from "../route.js";
import { browser } from "./browser.js";

const isMade = (one) => one.status === "GENERATED";

export function stored(main) {
  return browser(main, {
    section: "stored", path: "/stored_data", title: "Stored data", one: "pyramid", article: "a",
    name: (one) => one.name,
    key: (one) => [one.name, one.status, one.size, one.type_infos?.levels?.length, ago(one.creation)],
    isBusy: (one) => ["GENERATING", "MODIFYING"].includes(one.status),
    fetch: (id) => get(`/stored_data/${encodeURIComponent(id)}`),
    nothing: () => empty("No pyramid yet", "Deliver rasters, then launch a processing on them.",
      h("a", { class: "button primary", href: link("deliveries") }, "To the deliveries")),
    row: (one) => [
      h("span", { class: "name" }, one.name), chip(one.status),
      h("span", { class: "sub" }, [one.type_infos?.tms, one.type_infos?.compression, bytes(one.size)].filter(Boolean).join(" · ")),
      h("span", { class: "sub end" }, ago(one.creation)),
    ],
    detail,
  });
}

function detail(first, again) {
  const head = h("div", { class: "head" });
  const about = h("div");
  const uses = h("div");

  async function remove(one) {
    const size = one.size ? `${bytes(one.size)} of tiles go with it. ` : "";
    if (!(await confirm(`Delete “${one.name}”?`, `${size}This cannot be undone.`, "Delete"))) return;
    if (await attempt(() => send("DELETE", `/stored_data/${one._id}`), "Deleted")) go("stored");
    again();
  }

  return {
    node: h("article", {}, head, about, uses),
    async update(one) {
      refill(head, [one.name, one.status], () => [
        h("h2", {}, one.name), chip(one.status),
        h("div", { class: "actions" },
          isMade(one) && h("a", { class: "button primary", href: link("map", one._id) }, icon("map"), "Open the map"),
          h("button", { class: "danger", id: "delete", on: { click: () => remove(one) } }, "Delete")),
      ]);
      refill(about, one, () => [factsOf(one)]);
      const found = await get(`/stored_data/${one._id}/dependencies`);
      refill(uses, found, () => [
        links("Uses slabs of", found.use), links("Its slabs are used by", found.used_by),
      ]);
    },
  };
}

function links(title, entities) {
  if (!entities.length) return null;
  return h("div", {}, h("h3", {}, title),
    h("div", { class: "links" }, entities.map((one) => h("a", { href: link("stored", one._id) }, one.name))));
}

function factsOf(one) {
  const infos = one.type_infos || {};
  return h("div", {},
    facts([
      ["Size", bytes(one.size)], ["Tile matrix set", infos.tms], ["Reference system", one.srs],
      ["Levels", infos.levels?.length ? `${infos.levels[0]} to ${infos.levels.at(-1)}, ${plural(infos.levels.length, "level")}` : ""],
      ["Compression", infos.compression],
      ["Pixels", infos.channels_number ? `${plural(infos.channels_number, "channel")}, ${infos.channels_format}` : ""],
      ["Nodata", infos.nodata_value], ["Extent", boxText(one.extent)], ["Created", date(one.creation)],
      ["Description", one.description], ["Id", h("code", {}, one._id)],
    ]),
    Object.keys(one.tags || {}).length > 0 && h("h3", {}, "Tags"),
    h("div", { class: "tags" }, Object.entries(one.tags || {}).map(([key, value]) =>
      h("span", { class: "tag" }, h("b", {}, key), String(value)))));
}
