// What people do on pages: approve, reject, run again, stop, start by hand. With and without JavaScript.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, open, shared, signIn } from "./chromium.mjs";
import { RULES, fill, files } from "./shop.mjs";
import { Lines, World, until } from "./world.mjs";

const held = shared();
let world, lines, failed, waiting;

const held_up = (script) => `name: Held
on: { push: { branches: [held] } }
jobs:
  held:
    runs-on: ubuntu-latest
    steps:
      - run: echo begun; ${script}
`;

before(async () => {
  await held.up();
  world = await World.open({ settings: RULES });
  lines = await Lines.make(world, "held");
  await world.user("grace", "admin");
  await signIn(held.browser, world, "grace");
  ({ failed, waiting } = await fill(world));
});
after(async () => {
  await lines?.end();
  await world?.close();
});

const status = (page, word) => page.locator("#run-head .status", { hasText: word }).waitFor();
/** The run that a page shows. */
const shown = (page) => Number(/\/runs\/(\d+)/.exec(page.url())[1]);
/** Waits for a state: with a script the page shows it by itself, without one it is asked again. */
async function comes(page, is_scripted, word) {
  if (is_scripted) return status(page, word);
  await world.over(shown(page));
  await page.reload();
  await status(page, word);
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";

  test(`reject and approve, ${how}`, async () => {
    const page = await open(held.browser, world, { javaScriptEnabled });
    await page.goto("/");
    await page.locator(".waiting a", { hasText: "Review production" }).first().click();
    await page.getByRole("heading", { name: "Review production" }).waitFor();
    assert.match(await page.locator("main").textContent(), /late payments are booked|a better title/);
    await page.fill("textarea[name=comment]", "not on a Friday");
    await page.getByRole("button", { name: "Reject" }).click();
    await page.waitForURL((url) => /^\/runs\/\d+$/.test(url.pathname));
    await comes(page, javaScriptEnabled, "Failure");
    assert.match(await page.locator("#run-body").textContent(), /grace/, "who rejected it");
    // Once more, and now it may go on.
    await page.getByRole("button", { name: "Re-run failed" }).click();
    await page.waitForURL((url) => /^\/runs\/\d+$/.test(url.pathname) && Number(url.pathname.slice(6)) > waiting.id);
    await world.when(shown(page), "a review", (one) => one.status === "waiting");
    await page.reload();
    await page.locator(".notice.wait a", { hasText: "Review" }).click();
    await page.fill("textarea[name=comment]", "looks good");
    await page.getByRole("button", { name: "Approve production" }).click();
    await comes(page, javaScriptEnabled, "Success");
    assert.equal(await page.locator(".pick summary").textContent(), "Attempt 2 of 2");
    // A page that says "Success" may say it of staging, which the run before had deployed.
    const run = shown(page);
    const is_it = (one) => one.run === run && one.environment === "production" && one.state === "success";
    await until("a deployment", async () => (await world.get("/api/v1/deployments")).deployments.find(is_it));
    await page.goto("/environments");
    const row = page.locator("tbody tr", { hasText: "production" });
    assert.match(await row.textContent(), /Success/);
    await page.goto("/audit");
    assert.match(await page.locator("main tbody").textContent(), /run\.approve[^]*run\.reject/);
    await close(page);
    // The next one to be looked at.
    if (javaScriptEnabled) {
      waiting = await world.runOf(await world.push({ "README.md": "# The shop\n" }, { message: "readme: a better title" }));
      await world.when(waiting.id, "a review", (one) => one.status === "waiting");
    }
  });

  test(`re-run what failed, and one job, ${how}`, async () => {
    const page = await open(held.browser, world, { javaScriptEnabled });
    await page.goto(`/runs/${failed.id}`);
    await status(page, "Failure");
    await page.getByRole("button", { name: "Re-run failed" }).click();
    await page.waitForURL((url) => /^\/runs\/\d+$/.test(url.pathname) && url.pathname !== `/runs/${failed.id}`);
    const again = shown(page);
    assert.equal((await world.over(again)).attempt, javaScriptEnabled ? 2 : 4);
    await page.goto(`/runs/${again}`);
    await page.locator("ol.jobs a", { hasText: "Test orders" }).click();
    await page.getByRole("button", { name: "Re-run job" }).click();
    await page.waitForURL((url) => /^\/runs\/\d+/.test(url.pathname) && !url.pathname.startsWith(`/runs/${again}`));
    assert.equal((await world.over(shown(page))).conclusion, "failure");
    failed = { id: shown(page) };
    await close(page);
  });

  test(`cancel, ${how}`, async () => {
    const files = { ".github/workflows/held.yml": held_up(lines.script) };
    const sha = await world.push(files, { branch: "held", message: `held ${how}` });
    const { id } = (await world.runOf(sha));
    await lines.write("goes on");
    const page = await open(held.browser, world, { javaScriptEnabled });
    const asked = [];
    page.answer = (dialog) => { asked.push(dialog.message()); return asked.length > 1 || !javaScriptEnabled ? dialog.accept() : dialog.dismiss(); };
    await page.goto(`/runs/${id}`);
    await status(page, "In progress");
    await page.getByRole("button", { name: "Cancel" }).click();
    if (javaScriptEnabled) {
      // The first time the question is answered with no.
      await status(page, "In progress");
      await page.getByRole("button", { name: "Cancel" }).click();
      assert.deepEqual(asked, ["Cancel this run?", "Cancel this run?"]);
    }
    await comes(page, javaScriptEnabled, "Cancelled");
    assert.match(await page.locator("#run-head").textContent(), /Stopped by grace/);
    await lines.end();
    await close(page);
  });

  test(`start a workflow with typed inputs, ${how}`, async () => {
    const page = await open(held.browser, world, { javaScriptEnabled });
    await page.goto("/");
    await page.getByRole("link", { name: "Run workflow" }).click();
    await page.selectOption("#f-repository", "acme/shop");
    if (await page.locator("#f-workflow").count() === 0) await page.getByRole("button", { name: "Show" }).click();
    await page.selectOption("#f-workflow", { label: "Release" });
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("heading", { name: "Release", exact: true }).waitFor();
    const field = (name) => page.locator(`[name="input.${name}"]:not([type=hidden])`);
    assert.equal(await field("services").getAttribute("type"), "number");
    assert.equal(await field("services").inputValue(), "3");
    assert.equal(await field("dry-run").isChecked(), true);
    assert.equal(await field("channel").inputValue(), "beta");
    assert.deepEqual(await field("where").locator("option").allTextContents(), ["", "production", "staging"]);
    await page.getByRole("button", { name: "Run it" }).click();
    assert.match(page.url(), /\/dispatch/, "what is needed is asked for");
    await field("version").fill("2.0 \"beta\" <b>");
    await field("services").fill("2");
    await field("dry-run").uncheck();
    await field("channel").selectOption("stable");
    await field("where").selectOption("staging");
    await page.getByRole("button", { name: "Run it" }).click();
    await page.waitForURL((url) => /^\/runs\/\d+$/.test(url.pathname));
    const id = shown(page);
    assert.equal((await world.over(id)).conclusion, "success");
    await page.goto(`/runs/${id}`);
    await page.getByRole("heading", { name: "Release 2.0 \"beta\" <b>" }).waitFor();
    const log = await (await page.request.get(`/runs/${id}/jobs/release/raw?step=0`)).text();
    const inputs = JSON.parse(log.split("\n").find((line) => line.startsWith("{ ")));
    assert.deepEqual(inputs, { version: "2.0 \"beta\" <b>", services: 2, "dry-run": false, channel: "stable", where: "staging" });
    await close(page);
  });
}
