// A log that grows: what is new is appended.

import { list } from "../api.js";
import { h } from "../dom.js";

const PAGE = 1000;
const KEPT = 5000;
const LINE = /^(\S+ \S+?,\d{3})([A-Z]+)\|\|.*?\|\|\d+\|\|([\s\S]*)$/;

function lineOf(text) {
  const found = LINE.exec(text);
  if (!found) return h("li", {}, text);
  const [, when, level, message] = found;
  return h("li", { class: level.toLowerCase() }, h("time", {}, when.slice(11, 19)), h("span", {}, message));
}

export function logBox(path, title = "Log") {
  const lines = h("ol", { class: "lines", tabindex: 0, "aria-label": title });
  const note = h("span", { class: "count" });
  let have = 0;

  async function update() {
    for (;;) {
      const page = Math.floor(have / PAGE) + 1;
      const { items, total } = await list(path, { page, limit: PAGE });
      const fresh = items.slice(have - (page - 1) * PAGE);
      const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 8;
      lines.append(...fresh.map(lineOf));
      while (lines.childElementCount > KEPT) lines.firstElementChild.remove();
      have += fresh.length;
      note.textContent = have > KEPT ? `last ${KEPT} of ${have} lines` : "";
      if (fresh.length && atEnd) lines.scrollTop = lines.scrollHeight;
      if (!fresh.length || have >= total) return;
    }
  }
  return { node: h("section", { class: "log" }, h("h3", {}, title, " ", note), lines), update };
}
