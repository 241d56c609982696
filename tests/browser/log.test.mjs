// The log of a job: while it is written, searched, linked to, and over a restart of the server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, open, shared, signIn } from "./chromium.mjs";
import { Lines, World } from "./world.mjs";

const held = shared();
let world;

// More than stands in a page at once.
const LONG = 30_000;
const workflow = (live, again) => `name: Log
on: push
jobs:
  long:
    runs-on: ubuntu-latest
    steps:
      - name: Count
        run: |
          for number in $(seq 1 ${LONG}); do echo "line $number of many"; done
          echo "##[group]Needles"
          echo "a needle here, and a needle there"
          echo "##[endgroup]"
          echo "NEEDLE"
      - name: Fail
        run: |
          echo "::error::the first error"
          echo between
          echo "::error::the second error"
          exit 3
  live:
    runs-on: ubuntu-latest
    steps:
      - name: Say
        run: ${live}
  again:
    runs-on: ubuntu-latest
    steps:
      - name: Say
        run: ${again}
`;
let live, again, run;

const linesOf = (page, step = "s0") => page.locator(`#${step} .chunk > div`).evaluateAll((all) => all.map((line) => line.lastChild.textContent));
const seen = (page, text) => page.locator(".chunk > div", { hasText: text }).first().waitFor({ state: "attached" });

before(async () => {
  await held.up();
  world = await World.open();
  [live, again] = [await Lines.make(world, "live"), await Lines.make(world, "again")];
  const sha = await world.push({ ".github/workflows/log.yml": workflow(live.script, again.script) });
  await world.user("grace", "admin");
  await signIn(held.browser, world, "grace");
  run = await world.runOf(sha);
  await world.when(run.id, "the long log", (one) => one.jobs.find((job) => job.key === "long")?.status === "completed");
});
after(async () => {
  await live?.end();
  await again?.end();
  await world?.close();
});

test("a log is seen while it is written", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}`);
  await page.locator("ol.jobs a", { hasText: "live" }).click();
  await live.write("the first line");
  await seen(page, "the first line");
  assert.equal(await page.locator("[data-do=follow]").getAttribute("aria-pressed"), "true");
  await live.write(...Array.from({ length: 300 }, (_, number) => `more ${number}`), "\u001b[31mred\u001b[0m");
  await seen(page, "red");
  assert.equal(await page.locator("#s0 .chunk .f1").textContent(), "red");
  // The end is kept in view.
  await page.waitForFunction(() => {
    const last = [...document.querySelectorAll("#s0 .chunk > div")].at(-1).getBoundingClientRect();
    return last.top > 0 && last.bottom <= innerHeight;
  });
  await live.write("the last line");
  await live.end();
  await page.locator("#job-head", { hasText: "Success" }).waitFor();
  await page.locator("#s0.w-success").waitFor();
  const lines = await linesOf(page);
  const from = lines.indexOf("the first line");
  assert.deepEqual(lines.slice(from), ["the first line", ...Array.from({ length: 300 }, (_, number) => `more ${number}`), "red", "the last line"]);
  assert.equal(await page.locator("#s0 .step-tools a[href*='step=0']").count(), 1, "what came live has its tools");
  await close(page);
});

test("after a restart of the server each line is there exactly once", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}/jobs/again`);
  await again.write("before 1", "before 2");
  await seen(page, "before 2");
  await world.kill();
  await again.write("while nobody listens 1", "while nobody listens 2");
  await world.start();
  await again.write("after 1");
  await seen(page, "after 1");
  await again.write("after 2");
  await again.end();
  await page.locator("#job-head", { hasText: "Success" }).waitFor();
  const lines = await linesOf(page);
  const expected = ["before 1", "before 2", "while nobody listens 1", "while nobody listens 2", "after 1", "after 2"];
  assert.deepEqual(lines.slice(lines.indexOf("before 1")), expected);
  const numbers = await page.locator("#s0 .chunk > div").evaluateAll((all) => all.map((line) => line.id));
  assert.equal(new Set(numbers).size, numbers.length);
  // That the server was away for a moment is told by the browser, not by us.
  page.wrong = page.wrong.filter((one) => !one.includes("ERR_CONNECTION") && !one.includes("ERR_INCOMPLETE"));
  await close(page);
});

test("search counts what is there, shown or not", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}/jobs/long`);
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await page.keyboard.press("Enter");
  // The script is shown before its output: it has the words in it, and so do its two lines.
  const raw = await (await page.request.get(`/runs/${run.id}/jobs/long/raw`)).text();
  const count = (text) => raw.split("\n").filter((line) => line.toLowerCase().includes(text)).length;
  await page.locator(".count", { hasText: `1 of ${count("needle")}` }).waitFor();
  for (let number = 2; number <= count("needle"); number++) await page.keyboard.press("Enter");
  await page.locator(".count", { hasText: `${count("needle")} of ${count("needle")}` }).waitFor();
  await page.locator(".now", { hasText: "NEEDLE" }).waitFor();
  await page.keyboard.press("Shift+Enter");
  await page.locator(".count", { hasText: `${count("needle") - 1} of` }).waitFor();
  await page.fill("#find", "of many");
  await page.keyboard.press("Enter");
  await page.locator(".count", { hasText: `of ${count("of many")}` }).waitFor();
  assert.ok(count("of many") > LONG);
  await page.fill("#find", "no such text");
  await page.keyboard.press("Enter");
  await page.locator(".count", { hasText: "nothing" }).waitFor();
  await close(page);
});

test("lines and ranges have addresses", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}/jobs/long#s0-L9000`);
  const line = page.locator("#s0-L9000");
  await line.waitFor();
  assert.ok(await line.evaluate((one) => one.classList.contains("chosen") && one.getBoundingClientRect().top > 0 && one.getBoundingClientRect().bottom < innerHeight));
  await page.locator("#s0-L9002 > a").click();
  assert.match(page.url(), /#s0-L9002$/);
  await page.locator("#s0-L9005 > a").click({ modifiers: ["Shift"] });
  assert.match(page.url(), /#s0-L9002-L9005$/);
  const other = await open(held.browser, world);
  await other.goto(page.url());
  await other.locator("#s0-L9005.chosen").waitFor();
  assert.equal(await other.locator(".chosen").count(), 4);
  await close(other);
  await close(page);
});

test("the first error is in view, and keys go to the next", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}/jobs/long`);
  assert.equal(await page.locator("#s1").evaluate((step) => step.open), true, "what failed is open");
  assert.equal(await page.locator("#s0").evaluate((step) => step.open), false, "what went well is closed");
  await page.waitForFunction(() => {
    const first = document.querySelector("#s1 .e").getBoundingClientRect();
    return first.top > 0 && first.bottom < innerHeight;
  });
  const chosen = page.locator(".chosen");
  for (const text of ["the first error", "the second error", "exit code 3", "the first error"]) {
    await page.keyboard.press("e");
    await page.waitForFunction((text) => document.querySelector(".chosen")?.textContent.includes(text), text);
    assert.equal(await chosen.count(), 1);
  }
  await page.keyboard.press("E");
  await page.waitForFunction(() => document.querySelector(".chosen")?.textContent.includes("exit code 3"));
  await close(page);
});

test("lines tell when they came, if asked", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}/jobs/long`);
  const first = page.locator("#s1-L1");
  assert.equal(await first.getAttribute("data-t"), null);
  await page.keyboard.press("t");
  await page.locator("#s1-L1[data-t]").waitFor({ state: "attached" });
  assert.match(await page.locator("#s1 .e").first().evaluate((line) => getComputedStyle(line, "::before").content), /\d\d:\d\d:\d\d/);
  await page.locator("#s0 > summary").click();
  await page.keyboard.press("Control+f");
  await page.locator("#s0-L5000[data-t]").waitFor({ state: "attached" });
  await page.locator("#s0 .gap").waitFor({ state: "detached" });
  const times = await page.locator("#s0 [data-t]").evaluateAll((all) => all.map((line) => line.dataset.t));
  assert.ok(times.length >= LONG && times.every((time, at) => at === 0 || time >= times[at - 1]), "they go up");
  assert.equal(await page.evaluate(() => document.body.innerText.includes(document.querySelector("[data-t]").dataset.t)), false, "they are no text");
  await page.reload();
  await page.locator("#s1 .e[data-t]").first().waitFor({ state: "attached" });
  await page.locator("[data-do=times]").click();
  assert.equal(await page.locator("#s1 .e").first().evaluate((line) => getComputedStyle(line, "::before").content), "none");
  await close(page);
});

test("an annotation leads to its line", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}`);
  await page.locator(".annotations li", { hasText: "the second error" }).locator("a", { hasText: "long" }).click();
  await page.waitForURL(/step=s1#s1-L\d+$/);
  assert.match(await page.locator(".chosen").textContent(), /the second error/);
  await close(page);
});

test("copies and downloads of a step are its bytes", async () => {
  const page = await open(held.browser, world, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`/runs/${run.id}/jobs/long`);
  const tools = page.locator("#s1 .step-tools");
  const [download] = await Promise.all([page.waitForEvent("download"), tools.getByRole("link", { name: /Download/ }).click()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  assert.match(text, /the first error\nbetween\n/);
  await tools.getByRole("button", { name: "Copy" }).click();
  await tools.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
  await close(page);
});

test("what a page does not hold comes as it is scrolled to, and all of it for the browser's own search", async () => {
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}/jobs/long?step=s0`);
  const count = () => page.locator("#s0 .chunk > div").count();
  const first = await count();
  assert.ok(first < LONG / 2, `${first} lines at first`);
  await page.locator("#s0 .gap").scrollIntoViewIfNeeded();
  await page.locator("#s0-L3000").waitFor({ state: "attached" });
  assert.ok((await count()) < LONG, "not all of them");
  await page.keyboard.press("Control+f");
  await page.locator("#s0 .gap").waitFor({ state: "detached" });
  const numbers = await page.locator("#s0 .chunk > div").evaluateAll((all) => all.map((line) => Number(line.id.split("-L")[1])));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), "in their order");
  assert.equal(new Set(numbers).size, numbers.length, "each once");
  assert.ok(numbers.length > LONG, `all of them: ${numbers.length}`);
  await close(page);
});

test("without JavaScript the log is read, searched and linked to", async () => {
  const page = await open(held.browser, world, { javaScriptEnabled: false });
  await page.goto(`/runs/${run.id}/jobs/long`);
  await seen(page, "the first error");
  await page.getByRole("link", { name: "Times (UTC)" }).click();
  await page.locator("#s1 .e[data-t]").first().waitFor({ state: "attached" });
  await page.fill("#find", "line 11000 of");
  await page.locator("#find").press("Enter");
  await page.locator(".count", { hasText: "1 of 1" }).waitFor();
  await seen(page, "line 11000 of many");
  await page.fill("#find", "error");
  await page.locator("#find").press("Enter");
  await page.locator(".hits a", { hasText: "Next" }).click();
  await page.locator(".count", { hasText: "2 of" }).waitFor();
  await page.goto(`/runs/${run.id}/jobs/long?step=s0&from=9000#s0-L9001`);
  assert.equal(await page.locator("#s0-L9001").count(), 1);
  await close(page);
});
