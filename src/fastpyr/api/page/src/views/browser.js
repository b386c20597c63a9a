// A list on the left, one of its items on the right; both follow the server.

import { list } from "../api.js";
import { empty, h, icon, refill } from "../dom.js";
import { plural } from "../format.js";
import { watch } from "../live.js";
import { link } from "../route.js";

const PAGE = 100;

/**
 * `kind`: section, path, title, one (the noun), nothing (node for an empty list), actions (nodes), row(item) -> nodes,
 * isBusy(item), detail(item, again) -> {node, update(item)}.
 */
export function browser(main, kind) {
  let wanted = "";
  let selected = null;
  let detail = null;
  let items = [];
  let total = 0;
  let isKnown = false;
  let limit = PAGE;

  const count = h("span", { class: "count" });
  const rows = h("ul", { class: "rows" });
  const more = h("button", { class: "quiet", hidden: true, on: { click: showMore } }, "Show more");
  const search = h("input", {
    type: "search", placeholder: "Find by name", "aria-label": `Find ${kind.title.toLowerCase()} by name`,
    on: { input: () => ((wanted = search.value.trim().toLowerCase()), draw()) },
  });
  const right = h("section", { class: "detail", "aria-live": "off" });
  main.append(
    h("section", { class: "list" },
      h("div", { class: "head" }, h("h1", {}, kind.title), count, h("div", { class: "actions" }, kind.actions || [])),
      search, rows, more),
    right,
  );

  function showMore() {
    limit += PAGE;
    live.again();
  }

  function draw() {
    if (!isKnown) return;
    const found = items.filter((item) => kind.name(item).toLowerCase().includes(wanted));
    count.textContent = total ? plural(total, kind.one, kind.many) : "";
    more.hidden = items.length >= total;
    const key = [selected, found.map((item) => [kind.key(item), item._id])];
    refill(rows, key, () =>
      total === 0
        ? [h("li", {}, kind.nothing())]
        : found.map((item) =>
            h("li", {}, h("a", {
              href: link(kind.section, item._id), id: `row-${item._id}`, class: "row",
              "aria-current": item._id === selected ? "true" : undefined,
            }, kind.row(item)))));
    main.classList.toggle("has-selection", Boolean(selected));
  }

  async function drawDetail() {
    if (!selected) {
      detail = null;
      refill(right, "none", () => [total ? empty(`Choose ${kind.article} ${kind.one}`, "Its facts are shown here.") : null]);
      return;
    }
    let item;
    try {
      item = await kind.fetch(selected);
    } catch (error) {
      if (error.status !== 404) throw error;
      detail = null;
      refill(right, ["gone", selected], () => [empty("It is gone", "Somebody deleted it, or the address is wrong.")]);
      return;
    }
    if (item._id !== selected) return;
    if (detail?.id !== item._id) {
      detail = { id: item._id, ...kind.detail(item, again) };
      right.shownKey = null;
      right.replaceChildren(
        h("a", { href: link(kind.section), class: "back" }, icon("back"), kind.title),
        detail.node,
      );
    }
    await detail.update(item);
  }

  async function look() {
    const found = await list(kind.path, { page: 1, limit, sort: "creation,desc" });
    ({ items, total } = found);
    isKnown = true;
    draw();
    await drawDetail();
    return items.some(kind.isBusy) ? 0.7 : 4;
  }

  const live = watch(look);
  const again = () => live.again();
  return {
    show(route) {
      selected = route.id || null;
      draw();
      if (detail?.id !== selected) right.replaceChildren();
      right.shownKey = null;
      detail = null;
      live.again();
    },
    stop: live.stop,
  };
}
