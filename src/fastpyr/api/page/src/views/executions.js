// Executions: how far they are, what they say, and how to stop them.

import { get, send } from "../api.js";
import { attempt, confirm } from "../dialogs.js";
import { chip, empty, facts, h, icon, refill } from "../dom.js";
import { ago, date, duration, percent } from "../format.js";
import { go, link } from "../route.js";
import { browser } from "./browser.js";
import { logBox } from "./log.js";

const PATH = "/processings/executions";
const RUNNING = ["WAITING", "PROGRESS"];

const isBusy = (one) => RUNNING.includes(one.status);
const nameOf = (one) => one.output.stored_data.name;

function bar(one) {
  const done = one.status === "SUCCESS" ? 1 : one.extra?.progress || 0;
  const made = h("progress", { max: 1, "aria-label": "Progress", class: one.status.toLowerCase() });
  made.value = done;
  return made;
}

export function executions(main) {
  return browser(main, {
    section: "executions", path: PATH, title: "Executions", one: "execution", article: "an",
    name: nameOf,
    key: (one) => [one.status, one.extra, one.output, ago(one.creation)],
    isBusy,
    fetch: (id) => get(`${PATH}/${encodeURIComponent(id)}`),
    actions: [h("a", { class: "button primary", href: link("launch") }, icon("gear"), "New")],
    nothing: () => empty("No execution yet", "A processing turns a delivery into a pyramid.",
      h("a", { class: "button primary", href: link("launch") }, "Launch one")),
    row: (one) => [
      h("span", { class: "name" }, nameOf(one)), chip(one.status),
      h("span", { class: "sub" }, one.processing.name), h("span", { class: "sub end" }, ago(one.creation)),
      isBusy(one) ? bar(one) : null,
    ],
    detail,
  });
}

function detail(first, again) {
  const head = h("div", { class: "head" });
  const progress = h("div", { class: "advance" });
  const about = h("div");
  const log = logBox(`${PATH}/${first._id}/logs`);
  const act = (verb, done) => attempt(() => send("POST", `${PATH}/${first._id}/${verb}`), done).then(again);

  async function abort() {
    if (await confirm("Abort this execution?", "Its worker is stopped; finished slabs are kept for another execution.", "Abort"))
      await act("abort", "Aborted");
  }
  async function remove() {
    if (!(await confirm("Delete this execution?", "The record and its log go; the stored data stays.", "Delete"))) return;
    if (await attempt(() => send("DELETE", `${PATH}/${first._id}`), "Deleted")) go("executions");
  }

  return {
    node: h("article", {}, head, progress, about, log.node),
    async update(one) {
      refill(head, [one.status, nameOf(one), one.output.stored_data.status], () => [
        h("h2", {}, nameOf(one)), chip(one.status),
        h("div", { class: "actions" },
          one.status === "CREATED" && h("button", { class: "primary", on: { click: () => act("launch", "Launched") } }, icon("play"), "Launch"),
          isBusy(one) && h("button", { class: "danger", id: "abort", on: { click: abort } }, "Abort"),
          one.output.stored_data.status === "GENERATED" &&
            h("a", { class: "button primary", href: link("map", one.output.stored_data._id) }, icon("map"), "Open the map"),
          !isBusy(one) && h("button", { class: "quiet", on: { click: remove } }, "Delete")),
      ]);
      refill(progress, [one.status, one.extra], () => [
        bar(one), h("output", { class: "figure" }, percent(one.status === "SUCCESS" ? 1 : one.extra?.progress || 0)),
      ]);
      refill(about, { ...one, extra: isBusy(one) ? Date.now() : 0 }, () => [factsOf(one)]);
      await log.update();
    },
  };
}

function factsOf(one) {
  const inputs = [
    ...one.inputs.upload.map((input) => h("a", { href: link("deliveries", input._id) }, input.name)),
    ...one.inputs.stored_data.map((input) => h("a", { href: link("stored", input._id) }, input.name)),
  ];
  const output = one.output.stored_data;
  return h("div", {},
    facts([
      ["Processing", one.processing.name],
      ["From", h("span", { class: "links" }, inputs)],
      ["Makes", h("span", {}, h("a", { href: link("stored", output._id) }, output.name), " ", chip(output.status))],
      ["Created", date(one.creation)], ["Started", date(one.start)], ["Ended", date(one.finish)],
      ["Took", one.start ? duration(one.start, one.finish) : ""],
    ]),
    h("h3", {}, "Parameters"),
    h("div", { class: "tags" }, Object.entries(one.parameters || {}).map(([key, value]) =>
      h("span", { class: "tag" }, h("b", {}, key), String(value)))));
}
