// Requests to the server this page came from. A token, when one is needed, lives as long as the tab.

export const DATASTORE = "/api/datastores/11111111-1111-4111-8111-111111111111";
const KEY = "fastpyr-token";

let login = null;

/** `ask` shows the log-in and resolves when a token was kept. */
export function onUnauthorized(ask) {
  login = ask;
}

export function token() {
  return sessionStorage.getItem(KEY);
}

export function keepToken(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

export class ApiError extends Error {
  constructor(status, lines) {
    super(lines.join("\n") || `The server answered ${status}`);
    this.status = status;
  }
}

/** A request with our token. Credentials are omitted, so that the browser shows no prompt of its own. */
export async function request(path, options = {}) {
  for (;;) {
    const sent = token();
    const headers = { ...(options.headers || {}), ...(sent ? { Authorization: `Bearer ${sent}` } : {}) };
    const answer = await fetch(path, { ...options, headers, credentials: "omit" });
    if (answer.status === 401 && login) {
      if (sent === token()) await login();
      continue;
    }
    if (!answer.ok) throw new ApiError(answer.status, await problem(answer));
    return answer;
  }
}

async function problem(answer) {
  try {
    const body = await answer.json();
    return [body.error_description].flat().filter(Boolean).map(String);
  } catch {
    return [];
  }
}

/** JSON from any path of the server. */
export async function json(path, options) {
  return (await request(path, options)).json();
}

/** Whether there is a platform, or tiles only. */
export async function hasPlatform() {
  const { paths } = await json("/openapi.json");
  return "/api/users/me" in paths;
}

export const get = (path) => json(DATASTORE + path);

/** A page of a list, with how many there are in all. */
export async function list(path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  const answer = await request(`${DATASTORE}${path}?${query}`);
  const total = Number(answer.headers.get("content-range")?.split("/")[1] || 0);
  return { items: await answer.json(), total };
}

/** A change; returns what the server answers, if anything. */
export async function send(method, path, body) {
  const isForm = body instanceof FormData;
  const headers = body === undefined || isForm ? {} : { "Content-Type": "application/json" };
  const data = body === undefined || isForm ? body : JSON.stringify(body);
  const answer = await request(DATASTORE + path, { method, headers, body: data });
  return answer.status === 204 ? null : answer.json();
}

/** A new token for a user, kept. */
export async function logIn(user, password) {
  const form = new URLSearchParams({ grant_type: "password", username: user, password });
  const answer = await fetch("/token", { method: "POST", body: form, credentials: "omit" });
  if (!answer.ok) throw new ApiError(answer.status, await problem(answer));
  keepToken((await answer.json()).access_token);
}
