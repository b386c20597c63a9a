// What asks and what tells.

import { keepToken, logIn } from "./api.js";
import { h } from "./dom.js";

/** Ask for a yes. Resolves to whether it was given. */
export function confirm(title, text, action) {
  return new Promise((resolve) => {
    const yes = h("button", { value: "yes", class: "danger" }, action);
    const box = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "confirm-title" },
      h("form", { method: "dialog" },
        h("h2", { id: "confirm-title" }, title),
        h("p", {}, text),
        h("div", { class: "buttons" }, h("button", { value: "no", autofocus: true, class: "quiet" }, "Cancel"), yes)),
    );
    box.addEventListener("close", () => {
      box.remove();
      resolve(box.returnValue === "yes");
    });
    document.body.append(box);
    box.showModal();
  });
}

/** A line at the foot of the page, for a while. */
export function say(text, kind = "good") {
  const line = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), kind === "bad" ? 9000 : 4000);
}

/** Do something, and tell when it cannot be done. Resolves to whether it could. */
export async function attempt(work, done) {
  try {
    await work();
    if (done) say(done);
    return true;
  } catch (error) {
    say(error.message, "bad");
    return false;
  }
}

let asking = null;

/** Ask who it is, until a token is had. */
export function askForLogin() {
  asking ??= showLogin().finally(() => {
    asking = null;
  });
  return asking;
}

function showLogin() {
  return new Promise((resolve) => {
    const problem = h("p", { class: "problem", role: "alert" });
    const user = h("input", { name: "user", autocomplete: "username", autofocus: true });
    const password = h("input", { name: "password", type: "password", autocomplete: "current-password" });
    const bearer = h("input", { name: "token", type: "password", autocomplete: "off" });
    const submit = async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        if (bearer.value) await tryToken(bearer.value);
        else await logIn(user.value, password.value);
        box.close();
      } catch (error) {
        problem.textContent = error.message;
      }
    };
    const box = h(
      "dialog",
      { class: "dialog login", "aria-labelledby": "login-title" },
      h("form", { on: { submit } },
        h("h2", { id: "login-title" }, "Sign in"),
        h("p", {}, "This platform asks who you are."),
        h("label", {}, "User", user),
        h("label", {}, "Password", password),
        h("details", {}, h("summary", {}, "I have a token"), h("label", {}, "Token", bearer)),
        problem,
        h("div", { class: "buttons" }, h("button", { class: "primary" }, "Sign in"))),
    );
    box.addEventListener("cancel", (event) => event.preventDefault());
    box.addEventListener("close", () => {
      box.remove();
      resolve();
    });
    document.body.append(box);
    box.showModal();
  });
}

async function tryToken(value) {
  const answer = await fetch("/api/users/me", { headers: { Authorization: `Bearer ${value}` }, credentials: "omit" });
  if (!answer.ok) throw new Error("This token is not known here.");
  keepToken(value);
}
