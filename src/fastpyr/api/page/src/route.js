// Where we are, in the address: #/section/id?key=value

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [section = "", id = ""] = path.split("/");
  return { section, id: decode(id), query: new URLSearchParams(query) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function link(section, id, query) {
  const words = query ? `?${new URLSearchParams(query)}` : "";
  return `#/${section}${id ? `/${encodeURIComponent(id)}` : ""}${words}`;
}

export function go(section, id, query) {
  location.hash = link(section, id, query);
}
