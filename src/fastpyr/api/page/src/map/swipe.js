// A divider over the map: one pyramid on its left, another one on its right.

import { getRenderPixel } from "ol/render.js";
import { h } from "../dom.js";

/** `left`: the layer that is always there. `moved` is called with the part of the width at which the divider is. */
export function swipe(map, left, moved) {
  let part = 0.5;
  let right = null;
  const handle = h("div", {
    class: "swipe", role: "slider", tabindex: 0, hidden: true,
    "aria-label": "Divider of the two pyramids", "aria-valuemin": 0, "aria-valuemax": 100,
    on: { pointerdown: grab, keydown: key },
  }, h("span", { class: "grip" }, "⇔"));
  map.getTargetElement().append(handle);

  function set(value) {
    part = Math.min(1, Math.max(0, value));
    handle.style.left = `${part * 100}%`;
    handle.setAttribute("aria-valuenow", Math.round(part * 100));
    map.render();
    moved(part);
  }

  function grab(event) {
    event.preventDefault();
    event.stopPropagation();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const box = map.getTargetElement().getBoundingClientRect();
    const drag = (move) => set((move.clientX - box.left) / box.width);
    handle.addEventListener("pointermove", drag);
    handle.addEventListener("lostpointercapture", () => handle.removeEventListener("pointermove", drag), { once: true });
  }

  function key(event) {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the map would pan
    set(part + step);
  }

  const clipped = (from, to) => (event) => {
    const [width, height] = map.getSize();
    const [start, end] = [from() * width, to() * width];
    const pen = event.context;
    pen.save();
    pen.beginPath();
    [[start, 0], [end, 0], [end, height], [start, height]]
      .map((corner) => getRenderPixel(event, corner))
      .forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.clip();
  };
  const unclip = (event) => event.context.restore();
  const clips = { left: clipped(() => 0, () => part), right: clipped(() => part, () => 1) };

  function divide(act) {
    for (const [layer, clip] of [[left, clips.left], [right, clips.right]]) {
      layer[act]("prerender", clip);
      layer[act]("postrender", unclip);
    }
  }

  return {
    set,
    get part() {
      return part;
    },
    /** Show a layer on the right of the divider, the first one on its left; null: nothing to divide. */
    use(wanted) {
      if (right) divide("un");
      right = wanted;
      if (right) divide("on");
      handle.hidden = !right;
      set(part);
    },
    /** Whether a point of the map is on the right. */
    isRight: ([x]) => Boolean(right) && x > part * map.getSize()[0],
  };
}
