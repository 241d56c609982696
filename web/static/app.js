// The pages work without this; it makes them quicker to use. No frameworks, no evaluation of text, no markup of its own
// but what the server sent.
"use strict";
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/* Times go on: those ago, and those of what is running. */
const pad = (number) => String(number).padStart(2, "0");
function took(seconds) {
  const s = Math.max(0, seconds);
  if (s < 59.95) return `${s.toFixed(0)} s`;
  const whole = Math.round(s);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${pad(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}
function ago(at, now) {
  const s = (now - at) / 1000;
  if (s < -60 || s >= 2592000) return null;
  if (s < 45) return "just now";
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} d ago`;
}
function put(element, text) { if (text !== null && element.textContent !== text) element.textContent = text; }
function tick() {
  const now = Date.now();
  for (const element of $$("[data-since]")) put(element, took((now - Date.parse(element.dataset.since)) / 1000));
  for (const element of $$("time[datetime]")) {
    put(element, ago(Date.parse(element.dateTime), now));
    if (!element.dataset.local) {
      element.dataset.local = "1";
      element.title = new Date(element.dateTime).toLocaleString() + " here, " + element.title;
    }
  }
}
tick();
setInterval(tick, 1000);
document.addEventListener("htmx:after:swap", tick);

/* Theme: the system's, or the one that was chosen. */
function theme() {
  const root = document.documentElement;
  const isDark = (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  root.dataset.theme = isDark ? "light" : "dark";
  keep("theme", root.dataset.theme);
}
function keep(name, value) { try { localStorage.setItem(name, value); } catch { /* not kept, then */ } }
function kept(name) { try { return localStorage.getItem(name); } catch { return null; } }

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
document.addEventListener("click", (event) => {
  for (const open of $$("details.who[open]")) if (!open.contains(event.target)) open.open = false;
});

/* Buttons and keys; the scripts of some pages bring more. */
const deeds = { theme };
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) deeds[button.dataset.do]?.(button);
});

function move(step) {
  const rows = $$("[data-row]").filter((row) => row.offsetParent);
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}
const keys = {
  j: () => move(1),
  k: () => move(-1),
  g: () => scrollTo({ top: 0 }),
  G: () => scrollTo({ top: document.documentElement.scrollHeight }),
  "/": () => $("[data-search]")?.select(),
  "?": () => { const help = $("#keys"); help.open ? help.close() : help.showModal(); },
  r: () => $("[data-key=r]")?.focus(),
  a: () => $("[data-key=a]")?.focus(),
  x: () => $("[data-key=x]")?.focus(),
};
document.addEventListener("keydown", (event) => {
  const isText = event.target.closest("input, textarea, select, [contenteditable]");
  if (isText && event.key === "Escape") event.target.blur();
  if (isText || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  if ($("dialog[open]") && event.key !== "?") return;
  event.preventDefault();
  keys[event.key]();
});
