"use strict";

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function resolved(schema, all) {
  if (schema && schema.$ref) return all.components.schemas[schema.$ref.split("/").pop()];
  return schema;
}

function parameters(list) {
  const table = element("table");
  for (const one of list) {
    const row = table.insertRow();
    row.insertCell().append(element("code", one.name));
    row.insertCell().textContent = one.in + (one.required ? ", required" : "");
    row.insertCell().textContent = one.description || (one.schema && one.schema.type) || "";
  }
  return table;
}

function operation(path, method, facts, all) {
  const box = element("details");
  const title = element("summary");
  title.append(element("span", method.toUpperCase(), "method " + method), element("code", path));
  title.append(element("span", " " + (facts.summary || ""), "about"));
  box.append(title);
  if (facts.description) box.append(element("p", facts.description));
  if (facts.parameters) box.append(parameters(facts.parameters));
  for (const [type, content] of Object.entries((facts.requestBody && facts.requestBody.content) || {})) {
    box.append(element("p", "Body: " + type));
    box.append(element("pre", JSON.stringify(resolved(content.schema, all), null, 2)));
  }
  const answers = Object.entries(facts.responses || {}).map(([code, one]) => code + " " + one.description);
  box.append(element("p", "Answers: " + answers.join("; "), "about"));
  box.dataset.text = (method + " " + path + " " + facts.summary).toLowerCase();
  return box;
}

async function show() {
  const all = await (await fetch("/openapi.json")).json();
  document.getElementById("about").textContent = all.info.description + " Version " + all.info.version + ".";
  const groups = new Map();
  for (const [path, methods] of Object.entries(all.paths)) {
    for (const [method, facts] of Object.entries(methods)) {
      const group = (facts.tags && facts.tags[facts.tags.length - 1]) || "others";
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(operation(path, method, facts, all));
    }
  }
  const place = document.getElementById("paths");
  for (const [group, boxes] of groups) place.append(element("h2", group), ...boxes);
  document.getElementById("search").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const box of document.querySelectorAll("details")) box.hidden = !box.dataset.text.includes(wanted);
  });
}

show();
