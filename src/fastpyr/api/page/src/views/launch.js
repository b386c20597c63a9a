// A processing is launched: the form is made of what the catalogue says of its parameters.

import { get, json, list, send } from "../api.js";
import { attempt, say } from "../dialogs.js";
import { empty, h, icon } from "../dom.js";
import { go, link } from "../route.js";

export function launch(main) {
  let stopped = false;
  const form = h("form", { class: "card launch", "aria-label": "New processing" });
  main.append(h("div", { class: "head" }, h("h1", {}, "New processing")), form);

  async function show(route) {
    try {
      const [processings, uploads, pyramids] = await Promise.all([
        list("/processings", { limit: 100 }),
        list("/uploads", { limit: 1000, sort: "creation,desc", status: "CLOSED" }),
        list("/stored_data", { limit: 1000, sort: "creation,desc", status: "GENERATED" }),
      ]);
      if (!stopped) await draw(form, processings.items, uploads.items, pyramids.items, route.query);
    } catch (error) {
      say(error.message, "bad");
    }
  }
  return { show, stop: () => (stopped = true) };
}

const option = (value, text, chosen) => h("option", { value, selected: value === chosen }, text);

async function draw(form, processings, uploads, pyramids, query) {
  const choice = h("select", { id: "processing" },
    processings.map((one) => option(one._id, one.name, query.get("processing"))));
  const rest = h("div", { class: "rest" });
  choice.addEventListener("change", () => fill());
  form.replaceChildren(h("label", {}, "Processing", choice), rest);

  async function fill() {
    const processing = await get(`/processings/${choice.value}`);
    const inputs = inputFields(processing, uploads, pyramids, query.get("upload"));
    const output = outputFields(pyramids);
    const parameters = parameterFields(processing.parameters);
    const problem = h("p", { class: "problem", role: "alert" });
    rest.replaceChildren(
      h("p", { class: "hint" }, processing.description),
      ...(inputs.missing ? [empty("No delivery is ready", "A processing takes a delivery whose checks have passed.",
        h("a", { class: "button", href: link("deliveries") }, "To the deliveries"))] : []),
      h("fieldset", {}, h("legend", {}, "From"), inputs.nodes),
      h("fieldset", {}, h("legend", {}, "To"), output.nodes),
      h("fieldset", { class: "parameters" }, h("legend", {}, "Parameters"), parameters.nodes),
      problem,
      h("div", { class: "buttons" }, h("button", { class: "primary", id: "launch" }, icon("play"), "Launch")),
    );
    form.onsubmit = async (event) => {
      event.preventDefault();
      problem.textContent = "";
      const body = { processing: choice.value, inputs: inputs.value(), output: output.value() };
      const isUpdate = Boolean(body.inputs.stored_data || body.output.stored_data.id);
      body.parameters = parameters.value(isUpdate);
      try {
        const { _id: id } = await send("POST", "/processings/executions", body);
        await attempt(() => send("POST", `/processings/executions/${id}/launch`), "Launched");
        go("executions", id);
      } catch (error) {
        problem.textContent = error.message;
      }
    };
  }
  await fill();
}

function inputFields(processing, uploads, pyramids, chosen) {
  const takes = processing.input_types;
  const upload = h("select", { id: "upload" }, uploads.map((one) => option(one._id, `${one.name} (${one.srs})`, chosen)));
  const bases = h("select", { multiple: true, size: Math.min(5, Math.max(2, pyramids.length)), id: "bases" },
    pyramids.map((one) => option(one._id, one.name)));
  const wantsUpload = Boolean(takes.upload?.length);
  const nodes = [wantsUpload && h("label", {}, "Delivery", upload)];
  if (takes.stored_data?.length && pyramids.length) {
    const label = h("label", {}, wantsUpload ? "Pyramids it builds on (optional)" : "Pyramids", bases);
    nodes.push(wantsUpload ? h("details", {}, h("summary", {}, "Update of a pyramid"), label) : label);
  }
  return {
    nodes,
    missing: wantsUpload && !uploads.length,
    value() {
      const stored = [...bases.selectedOptions].map((one) => one.value);
      return {
        ...(wantsUpload && upload.value ? { upload: [upload.value] } : {}),
        ...(stored.length ? { stored_data: stored } : {}),
      };
    },
  };
}

function outputFields(pyramids) {
  const name = h("input", { id: "output", required: true, maxlength: 200, placeholder: "ORTHO_PM" });
  const target = h("select", { id: "target", on: { change: adapt } },
    option("", "a new pyramid"), pyramids.map((one) => option(one._id, `into ${one.name}`)));
  const nameLabel = h("label", {}, "Name", name);
  function adapt() {
    nameLabel.hidden = Boolean(target.value);
    name.required = !target.value;
  }
  return {
    nodes: [pyramids.length > 0 && h("label", {}, "Output", target), nameLabel],
    value: () => ({ stored_data: target.value ? { id: target.value } : { name: name.value } }),
  };
}

const isBoolean = (one) =>
  one.constraints?.type === "boolean" || typeof one.default_value === "boolean" || ["true", "false"].includes(one.default_value);

/** The element for a parameter, by its constraints, and how its value is read: undefined leaves it out. */
function control(one) {
  const id = `parameter-${one.name}`;
  const { type, enum: known, minimum, maximum } = one.constraints || {};
  if (isBoolean(one)) {
    const box = h("input", { type: "checkbox", id });
    box.checked = String(one.default_value) === "true";
    return { element: box, value: () => box.checked };
  }
  if (known) {
    const first = one.mandatory ? [] : [option("", one.default_value === undefined ? "by default" : `${one.default_value} (default)`)];
    const wanted = one.name === "tms" && known.includes("PM") ? "PM" : undefined;
    const choice = h("select", { id, required: one.mandatory }, first, known.map((word) => option(String(word), String(word), wanted)));
    return { element: choice, value: () => choice.value || undefined };
  }
  const isNumber = type === "integer" || type === "number";
  const field = h("input", {
    id, required: one.mandatory, type: isNumber ? "number" : "text", min: minimum, max: maximum,
    step: type === "integer" ? 1 : undefined, placeholder: one.default_value ?? "by default",
  });
  return { element: field, value: () => (field.value === "" ? undefined : isNumber ? Number(field.value) : field.value) };
}

function parameterFields(parameters) {
  const controls = new Map(parameters.map((one) => [one.name, control(one)]));
  const touched = new Set();
  const nodes = parameters.map((one) => {
      const { element } = controls.get(one.name);
      element.addEventListener("change", () => touched.add(one.name));
      const help = h("small", { id: `${element.id}-help`, class: "hint" }, one.description);
      element.setAttribute("aria-describedby", help.id);
      const title = h("span", {}, one.name, one.mandatory ? " *" : "");
      return h("label", { class: element.type === "checkbox" ? "tick" : "" }, title, element, help);
  });
  /** What was chosen; the server knows the defaults. An update has those of its pyramid, its grid too. */
  function value(isUpdate) {
    const chosen = [...controls].filter(([name]) => touched.has(name) || (name === "tms" && !isUpdate));
    return Object.fromEntries(chosen.map(([name, one]) => [name, one.value()]).filter(([, given]) => given !== undefined));
  }
  return { nodes: [...nodes, offerLevels(controls)], value };
}

/** The levels of the chosen tile matrix set, offered for top and bottom. */
function offerLevels(controls) {
  const tms = controls.get("tms")?.element;
  const fields = ["top", "bottom"].map((name) => controls.get(name)?.element).filter((one) => one?.tagName === "INPUT");
  if (!tms || !fields.length) return null;
  const known = h("datalist", { id: "levels" });
  for (const field of fields) field.setAttribute("list", "levels");
  const offer = async () => {
    if (!tms.value) return known.replaceChildren();
    const { levels } = await json(`/api/statics/tms/${encodeURIComponent(tms.value)}`);
    known.replaceChildren(...levels.map((level) => h("option", { value: level.id }, `${Number(level.resolution.toPrecision(5))}`)));
  };
  tms.addEventListener("change", () => attempt(offer));
  attempt(offer);
  return known;
}
