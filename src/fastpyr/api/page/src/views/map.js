// The map: a pyramid in its own projection, perhaps beside another one.

import { json } from "../api.js";
import { say } from "../dialogs.js";
import { empty, h, icon } from "../dom.js";
import { go, link } from "../route.js";
import { openPyramid } from "../map/pyramid.js";
import { stage } from "../map/stage.js";

export function mapView(main) {
  let now = null;
  let shownId = null;
  let stopped = false;

  async function show(route) {
    const id = route.id;
    if (now && id === shownId) return now.follow(route.query);
    try {
      const pyramids = await json("/tiles");
      if (stopped) return null;
      if (!pyramids.length) return nothing();
      const known = pyramids.find((one) => one.id === id);
      if (!id) return go("map", pyramids[0].id);
      if (!known) return nothing("This pyramid is not here", "It was deleted, or it is not finished.");
      const pyramid = await openPyramid(id);
      if (stopped || parseId() !== id) return null;
      now?.stop();
      main.replaceChildren();
      shownId = id;
      document.title = `${pyramid.name} · fastpyr`;
      now = stage(main, pyramid, pyramids, route.query);
    } catch (error) {
      say(error.message, "bad");
      nothing("The map cannot be shown", error.message);
    }
    return null;
  }

  const parseId = () => decodeURIComponent(location.hash.replace(/^#\/map\/?/, "").split("?")[0]);

  function nothing(title = "Nothing to look at yet", text = "Finished pyramids are shown here.") {
    now?.stop();
    now = shownId = null;
    main.replaceChildren(empty(title, text, h("a", { class: "button", href: link("stored") }, icon("layers"), "Stored data")));
  }

  return {
    show,
    stop() {
      stopped = true;
      now?.stop();
    },
  };
}
