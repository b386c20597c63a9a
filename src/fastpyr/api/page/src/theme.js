// Light or dark: as the system has it, unless told otherwise.

const KEY = "fastpyr-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

export function themeNow() {
  const kept = localStorage.getItem(KEY);
  return kept in NEXT ? kept : "auto";
}

export function applyTheme() {
  const now = themeNow();
  if (now === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
}

export function nextTheme() {
  localStorage.setItem(KEY, NEXT[themeNow()]);
  applyTheme();
}
