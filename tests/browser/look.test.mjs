// How pages look and can be used by everybody: accessibility in both themes, small screens, paper, keys.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, nothingWrong, open, overflow, shared, signIn, violations } from "./chromium.mjs";
import { addresses, routes } from "./pages.mjs";
import { RULES, fill, files } from "./shop.mjs";
import { World } from "./world.mjs";

const held = shared();
let world, filled, pages;

before(async () => {
  await held.up();
  world = await World.open({ settings: RULES });
  await world.user("grace", "admin");
  await signIn(held.browser, world, "grace");
  filled = await fill(world);
  filled.test = (await world.get("/api/v1/tests?repository=acme/shop")).tests[0].id;
  const known = addresses(filled);
  pages = routes().flatMap((route) => known[route] ?? [route]);
});
after(() => world?.close());

test("every route has an address", () => {
  assert.ok(pages.length > 20, `${pages}`);
  assert.deepEqual(pages.filter((page) => page.includes("{")), [], "say in pages.mjs where such a page is found");
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe-core finds nothing on any page, ${colorScheme}`, async () => {
    const page = await open(held.browser, world, { colorScheme });
    const found = [];
    for (const path of pages) {
      const answer = await page.goto(path);
      // Nobody was asked by mail here, so that such a page says that there is none.
      if (answer.status() !== 200 && !path.startsWith("/a/")) found.push(`${path}: ${answer.status()}`);
      // What opens is looked at too: menus, steps, details.
      await page.evaluate(() => { for (const one of document.querySelectorAll("details")) one.open = true; });
      for (const one of await violations(page)) found.push(`${path}: ${one}`);
    }
    await page.goto("/");
    await page.keyboard.press("?");
    for (const one of await violations(page)) found.push(`keys: ${one}`);
    // Without a session, and where there is nothing.
    await page.goto("/runs/999999");
    found.push(...await violations(page));
    await page.context().clearCookies();
    await page.goto("/login");
    for (const one of await violations(page)) found.push(`/login: ${one}`);
    assert.deepEqual(found, []);
    page.wrong = page.wrong.filter((one) => !/ 40[034] /.test(one));
    await close(page);
  });
}

test("on a telephone nothing lies beside the screen", async () => {
  const page = await open(held.browser, world, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const wide = [];
  for (const path of pages) {
    await page.goto(path);
    const over = await overflow(page);
    if (over > 0) wide.push(`${path}: ${over} px`);
  }
  assert.deepEqual(wide, []);
  page.wrong = page.wrong.filter((one) => !/ 40[034] /.test(one));
  await close(page);
});

test("paper has the content and no controls", async () => {
  const page = await open(held.browser, world, { colorScheme: "dark" });
  await page.emulateMedia({ media: "print" });
  for (const path of [`/runs/${filled.failed.id}`, `/runs/${filled.failed.id}/jobs/test(1)`]) {
    await page.goto(path);
    assert.equal(await page.locator("header.top").isVisible(), false);
    assert.equal(await page.locator("button:visible").count(), 0);
    assert.equal(await page.locator("h1").isVisible(), true);
    const [ground, text] = await page.evaluate(() => [getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color].map((color) => color.match(/[\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)));
    assert.ok(ground > 600 && text < 250, `dark on light: ${ground} ${text}`);
  }
  assert.ok((await page.pdf()).length > 5_000);
  await close(page);
});

test("dark: the system's wish, or what was chosen, from page to page", async () => {
  const isDark = (page) => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).slice(0, 3).every((part) => Number(part) < 60));
  const page = await open(held.browser, world, { colorScheme: "dark" });
  await page.goto("/");
  assert.equal(await isDark(page), true);
  await page.emulateMedia({ colorScheme: "light" });
  assert.equal(await isDark(page), false);
  await page.locator("[data-do=theme]").click();
  assert.equal(await isDark(page), true);
  await page.goto("/environments");
  assert.equal(await isDark(page), true, "the choice stays");
  await page.locator("[data-do=theme]").click();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.reload();
  assert.equal(await isDark(page), false, "and counts more than the system");
  await close(page);
  const plain = await open(held.browser, world, { colorScheme: "dark", javaScriptEnabled: false });
  await plain.goto("/");
  assert.equal(await plain.locator("[data-do=theme]").isVisible(), false, "what needs a script is not shown without one");
  await close(plain);
});

test("keys", async () => {
  const page = await open(held.browser, world);
  const focus = () => page.evaluate(() => document.activeElement.getAttribute("href") ?? document.activeElement.id ?? "");
  await page.goto("/");
  await page.keyboard.press("j");
  assert.equal(await focus(), `/runs/${filled.waiting.id}`);
  await page.keyboard.press("j");
  assert.equal(await focus(), `/runs/${filled.failed.id}`);
  await page.keyboard.press("k");
  assert.equal(await focus(), `/runs/${filled.waiting.id}`);
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.name), "workflow");
  await page.keyboard.type("j?");
  assert.equal(await page.inputValue("[name=workflow]"), "j?", "keys are letters in a field");
  await page.keyboard.press("Escape");
  await page.keyboard.press("a");
  assert.equal(await focus(), `/runs/${filled.waiting.id}/review/production`);
  await page.keyboard.press("?");
  await page.locator("dialog#keys[open]").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("dialog#keys[open]").count(), 0);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/runs/${filled.failed.id}`);
  await page.keyboard.press("r");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Re-run/);
  await page.goto(`/runs/${filled.failed.id}/jobs/test(1)`);
  await page.keyboard.press("j");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Set up job/);
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#s").evaluate((step) => step.open), true);
  await page.evaluate(() => { for (const one of document.querySelectorAll("details.step")) one.open = true; });
  await page.keyboard.press("G");
  await page.waitForFunction(() => scrollY > 0 && Math.ceil(scrollY + innerHeight) >= document.documentElement.scrollHeight - 2);
  await page.keyboard.press("g");
  await page.waitForFunction(() => scrollY === 0);
  await page.keyboard.press("f");
  assert.equal(await page.locator("[data-do=follow]").getAttribute("aria-pressed"), "true");
  nothingWrong(page);
  await close(page);
});

test("everything is read without JavaScript", async () => {
  const page = await open(held.browser, world, { javaScriptEnabled: false });
  for (const path of pages) {
    const answer = await page.goto(path);
    if (answer.status() !== 200) continue;
    assert.equal(await page.locator("h1").first().isVisible(), true, path);
    assert.equal(await page.locator(".js:visible").count(), 0, `${path} shows what needs a script`);
  }
  page.wrong = page.wrong.filter((one) => !/ 40[034] /.test(one));
  await close(page);
});
