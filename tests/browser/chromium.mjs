// One Chromium for a file of tests, and pages in it that tell whatever should not happen: errors, dialogs, violations of the
// content security policy, requests to others.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { chromium } from "playwright-core";
import { PASSWORD, PATIENCE } from "./world.mjs";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function launch() {
  const executablePath = process.env.CHROMIUM ?? PLACES.find(existsSync);
  assert.ok(executablePath, "there is no Chromium; scripts/browser.sh says how to get one");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A browser for all tests of a file. What needs it before the first of them waits for `up`: hooks do not wait for each other. */
export function shared() {
  const held = {};
  held.up = () => held.starting ??= launch().then((browser) => { held.browser = browser; });
  before(held.up);
  after(() => held.browser?.close());
  return held;
}

/** A page of a browser of its own. What went wrong in it is in `page.wrong`. */
export async function open(browser, world, options = {}) {
  const context = await browser.newContext({ baseURL: world.url, viewport: { width: 1280, height: 850 }, ...options });
  context.setDefaultTimeout(PATIENCE / 2);
  if (world.cookies && !options.isSignedOut) await context.addCookies(world.cookies);
  const wrong = [];
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`violation of ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
  });
  const page = await context.newPage();
  page.wrong = wrong;
  // That the machine got another network (a container began) is no fault of a page.
  page.on("console", (message) => { if (message.type() === "error" && !message.text().includes("ERR_NETWORK_CHANGED")) wrong.push(`console: ${message.text()} ${message.location().url}`); });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { page.answer ? page.answer(dialog) : (wrong.push(`dialog: ${dialog.message()}`), dialog.dismiss()); });
  page.on("request", (request) => { if (!request.url().startsWith(world.url) && !request.url().startsWith("data:")) wrong.push(`request: ${request.url()}`); });
  return page;
}

export function nothingWrong(page) {
  assert.deepEqual(page.wrong, []);
}

/** Closes a page in which nothing went wrong. */
export async function close(page) {
  nothingWrong(page);
  await page.context().close();
}

/** Signs somebody in; pages that are opened later are theirs. */
export async function signIn(browser, world, name) {
  const page = await open(browser, world, { isSignedOut: true });
  await page.goto("/login");
  await page.fill("input[name=name]", name);
  await page.fill("input[name=password]", PASSWORD);
  await page.click("main button[type=submit]");
  await page.waitForURL((url) => url.pathname === "/");
  world.cookies = await page.context().cookies();
  await close(page);
}

/** What axe-core finds in a page, one text for each rule. */
export async function violations(page) {
  await page.evaluate(axeSource);
  return page.evaluate(async () => {
    const found = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return found.violations.map((one) => `${one.id} (${one.impact}): ${one.nodes.map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).slice(0, 3).join(" | ")}`);
  });
}

/** How many pixels of a page cannot be seen without scrolling to the side. */
export function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
