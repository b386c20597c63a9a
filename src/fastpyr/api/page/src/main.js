// The page: a rail with the sections, and the view of one of them.

import "ol/ol.css";
import "./page.css";
import { hasPlatform, keepToken, onUnauthorized, token } from "./api.js";
import { askForLogin } from "./dialogs.js";
import { h, icon, mark } from "./dom.js";
import { link, parse } from "./route.js";
import { applyTheme, nextTheme, themeNow } from "./theme.js";
import { deliveries } from "./views/deliveries.js";
import { executions } from "./views/executions.js";
import { launch } from "./views/launch.js";
import { mapView } from "./views/map.js";
import { stored } from "./views/stored.js";

const SECTIONS = [
  { id: "deliveries", title: "Deliveries", icon: "upload", view: deliveries },
  { id: "launch", title: "New processing", icon: "gear", view: launch },
  { id: "executions", title: "Executions", icon: "play", view: executions },
  { id: "stored", title: "Stored data", icon: "layers", view: stored },
  { id: "map", title: "Map", icon: "map", view: mapView },
];

const main = h("main", { id: "main", tabindex: -1 });
let shown = null;
let home = "stored";

function rail() {
  const theme = h("button", { class: "quiet", type: "button", on: { click: turn } });
  function turn() {
    nextTheme();
    label();
  }
  function label() {
    theme.replaceChildren(icon("theme"), h("span", {}, `Theme: ${themeNow()}`));
  }
  const leave = h("button", { class: "quiet leave", type: "button", on: { click: signOut } }, icon("out"), h("span", {}, "Sign out"));
  label();
  return h(
    "header",
    { class: "rail" },
    h("a", { class: "brand", href: "#/" }, mark(), h("span", {}, "fastpyr")),
    h("nav", { "aria-label": "Sections" },
      SECTIONS.map((one) => h("a", { href: link(one.id), id: `nav-${one.id}` }, icon(one.icon), h("span", {}, one.title)))),
    h("div", { class: "foot" }, leave, theme, h("a", { href: "/docs" }, icon("book"), h("span", {}, "API"))),
  );
}

function signOut() {
  keepToken(null);
  location.reload();
}

function show() {
  const route = parse(location.hash);
  const section = SECTIONS.find((one) => one.id === (route.section || home)) || SECTIONS.at(-1);
  document.documentElement.classList.toggle("signed-in", Boolean(token()));
  document.title = `${section.title} · fastpyr`;
  for (const one of SECTIONS) {
    const anchor = document.getElementById(`nav-${one.id}`);
    if (one === section) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  if (shown?.section !== section) {
    shown?.view.stop();
    main.className = `view ${section.id}`;
    main.replaceChildren();
    shown = { section, view: section.view(main) };
  }
  shown.view.show(route);
}

applyTheme();
onUnauthorized(askForLogin);
document.body.append(
  h("a", { class: "skip", href: "#main", on: { click: (event) => (event.preventDefault(), main.focus()) } }, "Skip to content"),
  rail(),
  main,
  h("div", { id: "toasts", role: "status", "aria-live": "polite" }),
);
hasPlatform().then((platform) => {
  document.documentElement.classList.toggle("tiles-only", !platform);
  home = platform ? "stored" : "map";
  addEventListener("hashchange", show);
  show();
});
