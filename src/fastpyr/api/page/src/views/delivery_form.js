// A new delivery, from files chosen in the browser.

import { send } from "../api.js";
import { h } from "../dom.js";
import { bytes, plural } from "../format.js";

const isList = (file) => /\.md5$/i.test(file.name);

/** Ask for a name and files, deliver them and close. `done` gets the id. */
export function newDelivery(done) {
  const name = h("input", { name: "name", required: true, maxlength: 200, autofocus: true });
  const srs = h("input", { name: "srs", required: true, value: "EPSG:2154", placeholder: "EPSG:2154" });
  const files = h("input", { name: "files", type: "file", multiple: true, required: true, on: { change: describe } });
  const about = h("p", { class: "hint" }, "Rasters, with their world files and lists of MD5 signatures if there are any.");
  const problem = h("p", { class: "problem", role: "alert" });
  const progress = h("progress", { max: 1, hidden: true, "aria-label": "Sent" });
  const start = h("button", { class: "primary" }, "Deliver");

  function describe() {
    const all = [...files.files];
    about.textContent = `${plural(all.length, "file")}, ${bytes(all.reduce((sum, file) => sum + file.size, 0))}`;
  }

  async function submit(event) {
    event.preventDefault();
    problem.textContent = "";
    start.disabled = true;
    progress.hidden = false;
    try {
      const id = await deliver({ name: name.value, srs: srs.value, files: [...files.files] }, (part) => (progress.value = part));
      box.close();
      done(id);
    } catch (error) {
      problem.textContent = error.message;
      start.disabled = false;
    }
  }

  const box = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "delivery-title", on: { close: () => box.remove() } },
    h("form", { on: { submit } },
      h("h2", { id: "delivery-title" }, "New delivery"),
      h("label", {}, "Name", name),
      h("label", {}, "Reference system", srs),
      h("label", {}, "Files", files), about, progress, problem,
      h("div", { class: "buttons" },
        h("button", { type: "button", class: "quiet", on: { click: () => box.close() } }, "Cancel"), start)),
  );
  document.body.append(box);
  box.showModal();
}

async function deliver({ name, srs, files }, tell) {
  const { _id: id } = await send("POST", "/uploads", { name, description: name, type: "RASTER", srs });
  const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
  let sent = 0;
  try {
    for (const file of files) {
      const form = new FormData();
      form.append("file", file, file.name);
      const path = isList(file) ? "md5" : `data?path=${encodeURIComponent(file.name)}`;
      await send("POST", `/uploads/${id}/${path}`, form);
      sent += file.size;
      tell(sent / total);
    }
    await send("POST", `/uploads/${id}/close`);
  } catch (error) {
    await send("DELETE", `/uploads/${id}`).catch(() => null);
    throw error;
  }
  return id;
}
