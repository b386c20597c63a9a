// Deliveries: their files, their checks, and new ones.

import { get, send } from "../api.js";
import { attempt, confirm } from "../dialogs.js";
import { chip, empty, facts, h, icon, refill } from "../dom.js";
import { ago, boxText, bytes, date } from "../format.js";
import { go, link } from "../route.js";
import { browser } from "./browser.js";
import { newDelivery } from "./delivery_form.js";
import { logBox } from "./log.js";

export function deliveries(main) {
  const add = () => newDelivery((id) => go("deliveries", id));
  return browser(main, {
    section: "deliveries", path: "/uploads", title: "Deliveries", one: "delivery", many: "deliveries", article: "a",
    name: (one) => one.name,
    key: (one) => [one.name, one.status, one.size, ago(one.creation)],
    isBusy: (one) => one.status === "CHECKING",
    fetch: (id) => get(`/uploads/${encodeURIComponent(id)}`),
    actions: [h("button", { class: "primary", id: "new-delivery", on: { click: add } }, icon("upload"), "New")],
    nothing: () => empty("No delivery yet", "Bring GeoTIFFs, JPEG 2000 or images with world files.",
      h("button", { class: "primary", on: { click: add } }, "Deliver files")),
    row: (one) => [
      h("span", { class: "name" }, one.name), chip(one.status),
      h("span", { class: "sub" }, [one.srs, bytes(one.size)].join(" · ")), h("span", { class: "sub end" }, ago(one.creation)),
    ],
    detail,
  });
}

function detail(first, again) {
  const path = `/uploads/${first._id}`;
  const head = h("div", { class: "head" });
  const about = h("div");
  const files = h("div");
  const checks = h("div");
  let logs = [];

  const act = (verb, done) => attempt(() => send("POST", `${path}/${verb}`), done).then(again);
  async function remove(one) {
    if (!(await confirm(`Delete “${one.name}”?`, `Its files (${bytes(one.size)}) go with it.`, "Delete"))) return;
    if (await attempt(() => send("DELETE", path), "Deleted")) go("deliveries");
  }

  async function updateChecks(status) {
    const found = await get(`${path}/checks`);
    const all = [["asked", "WAITING"], ["in_progress", "PROGRESS"], ["passed", "SUCCESS"], ["failed", "FAILURE"]]
      .flatMap(([key, state]) => found[key].map((one) => ({ ...one, state })));
    refill(checks, [status, all], () => {
      logs = all.filter((one) => one.state !== "WAITING").map((one) => logBox(`/checks/executions/${one._id}/logs`, one.check.name));
      return [
        all.length > 0 && h("h3", {}, "Checks"),
        h("ul", { class: "checks" }, all.map((one) => h("li", {}, chip(one.state), one.check.name))),
        logs.map((log) => log.node),
      ];
    });
    for (const log of logs) await log.update();
  }

  return {
    node: h("article", {}, head, about, files, checks),
    async update(one) {
      refill(head, [one.name, one.status], () => [
        h("h2", {}, one.name), chip(one.status),
        h("div", { class: "actions" },
          one.status === "CLOSED" && h("a", { class: "button primary", href: link("launch", null, { upload: one._id }) }, icon("gear"), "Make a pyramid"),
          one.status === "OPEN" && h("button", { class: "primary", on: { click: () => act("close", "Checks have begun") } }, "Close and check"),
          ["CLOSED", "UNSTABLE"].includes(one.status) && h("button", { class: "quiet", on: { click: () => act("open", "Open again") } }, "Open again"),
          h("button", { class: "danger", on: { click: () => remove(one) } }, "Delete")),
      ]);
      refill(about, one, () => [facts([
        ["Reference system", one.srs], ["Size", bytes(one.size)], ["Extent", boxText(one.extent)],
        ["Created", date(one.creation)], ["Description", one.description], ["Id", h("code", {}, one._id)],
      ])]);
      const tree = await get(`${path}/tree`);
      refill(files, tree, () => [tree.length > 0 && h("h3", {}, "Files"), treeOf(tree)]);
      await updateChecks(one.status);
    },
  };
}

function treeOf(items) {
  return h("ul", { class: "tree" }, items.map((item) =>
    h("li", {},
      h("span", { class: item.type === "DIRECTORY" ? "folder" : "file" }, item.name),
      h("span", { class: "sub" }, bytes(item.size)),
      item.children ? treeOf(item.children) : null)));
}
