// Pages that are live go on when what they follow could not begin, broke off or was away, and show what they missed.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after, before, test } from "node:test";
import { close, open, shared, signIn, violations } from "./chromium.mjs";
import { Lines, World } from "./world.mjs";

const held = shared();
let world;
/** Longest that a page may take to be right after the server is there again: the longest pause, and what a busy machine adds. */
const SOON = { timeout: 15_000 };

const STREAMS = /\/live(\?|$)/;

const workflow = (lines) => `name: Live
on: push
jobs:
  go:
    runs-on: ubuntu-latest
    steps:
      - name: Say
        run: ${lines.script}
`;

before(async () => {
  await held.up();
  world = await World.open();
  await world.user("grace", "admin");
  await signIn(held.browser, world, "grace");
});
after(() => world?.close());

/** A run that goes on until its lines end. */
async function begin(name) {
  const lines = await Lines.make(world, name);
  const run = await world.runOf(await world.push({ ".github/workflows/live.yml": workflow(lines) }, { message: name }));
  await world.when(run.id, "its job", (one) => one.jobs.some((job) => job.status === "in_progress"));
  await lines.write("it begins");
  return { run, lines };
}
/** What a browser says of a server that is away. */
function away(page) {
  page.wrong = page.wrong.filter((one) => !/ERR_|htmx:(sse:)?error|Failed to load resource/.test(one));
}
/** The page of a run, as soon as it has its stream. */
const follows = (page, run) => Promise.all([page.waitForResponse((answer) => answer.url().endsWith("/live") && answer.ok()), page.goto(`/runs/${run.id}`)]);
const isOver = (page) => page.locator("#run-head", { hasText: "Success" }).waitFor(SOON);

/** A way to the server that can end in nothing: what has come through stays open, and nobody says that it leads nowhere. */
class Way {
  static async open(world) {
    const way = new Way();
    [way.isOut, way.ends] = [false, new Set()];
    way.server = createServer((near) => {
      const far = connect(Number(world.address.split(":").at(-1)), "127.0.0.1");
      // What lost something, or began while it was out, never comes to life again.
      let isLost = way.isOut;
      for (const [from, to] of [[near, far], [far, near]]) {
        way.ends.add(from);
        from.on("data", (bytes) => { if (!(isLost ||= way.isOut)) to.write(bytes); });
        from.on("close", () => { if (!(isLost ||= way.isOut)) to.destroy(); });
        from.on("error", () => {});
      }
    });
    way.server.listen(0, "127.0.0.1");
    await once(way.server, "listening");
    way.url = `http://127.0.0.1:${way.server.address().port}`;
    return way;
  }
  close() {
    for (const end of this.ends) end.destroy();
    this.server.close();
  }
}

for (const [how, refuse] of [
  ["no answer", (route) => route.abort("internetdisconnected")],
  ["that it has no place", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body: "{}" })],
  ["a proxy's page", (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1>" })],
]) {
  test(`a page whose stream gets ${how} at first follows all the same`, async () => {
    const { run, lines } = await begin(`first-${how.replaceAll(/\W/g, "-")}`);
    const [page, log] = [await open(held.browser, world), await open(held.browser, world)];
    for (const [one, path] of [[page, `/runs/${run.id}`], [log, `/runs/${run.id}/jobs/go`]]) {
      let tries = 0;
      await one.route(STREAMS, (route) => ++tries <= 2 ? refuse(route) : route.continue());
      await one.goto(path);
    }
    await log.locator(".chunk > div", { hasText: "it begins" }).first().waitFor({ state: "attached", ...SOON });
    await lines.write("it goes on");
    await log.locator(".chunk > div", { hasText: "it goes on" }).first().waitFor({ state: "attached", ...SOON });
    await lines.end();
    await isOver(page);
    await log.locator("#job-head", { hasText: "Success" }).waitFor(SOON);
    const numbers = await log.locator("#s0 .chunk > div").evaluateAll((all) => all.map((line) => line.id));
    assert.equal(new Set(numbers).size, numbers.length, "each line once");
    for (const one of [page, log]) {
      away(one);
      await close(one);
    }
  });
}

test("a page whose scripts come late, one long after another, follows all the same", async () => {
  const { run, lines } = await begin("late");
  const [page, log] = [await open(held.browser, world), await open(held.browser, world)];
  for (const [one, path] of [[page, `/runs/${run.id}`], [log, `/runs/${run.id}/jobs/go`]]) {
    let scripts = 0;
    await one.route("**/static/**/*.js", async (route) => {
      const late = ++scripts * 300;
      await new Promise((done) => setTimeout(done, late));
      await route.continue();
    });
    await one.goto(path);
    assert.ok(scripts >= 4, `${scripts}`);
  }
  await lines.end();
  await isOver(page);
  await log.locator("#job-head", { hasText: "Success" }).waitFor(SOON);
  for (const one of [page, log]) await close(one);
});

test("a page that lost its server is right soon after it is there again, however long it was away", async () => {
  const { run, lines } = await begin("away");
  const page = await open(held.browser, world);
  await page.clock.install();
  await follows(page, run);
  let tries = 0;
  await page.route(STREAMS, (route) => { tries += 1; return route.abort("connectionrefused"); });
  await world.kill();
  // By its own clock it is away for ten minutes.
  for (let time = 0; time < 600_000; time += 7_000) {
    await page.clock.runFor(7_000);
    await page.evaluate(() => 0);
  }
  assert.ok(tries >= 40, `it was looked for ${tries} times only`);
  await world.start();
  await lines.end();
  await world.over(run.id);
  await page.unroute(STREAMS);
  await page.clock.resume();
  await isOver(page);
  away(page);
  await close(page);
});

test("a page whose server vanishes without a word says so, and follows again when it is back", async () => {
  const { run, lines } = await begin("vanished");
  const way = await Way.open(world);
  const through = { url: way.url, cookies: world.cookies };
  const [page, log] = [await open(held.browser, through), await open(held.browser, through)];
  const isLost = (one) => one.getByRole("status").filter({ hasText: "connection to the server is lost" });
  for (const one of [page, log]) await one.clock.install();
  await follows(page, run);
  await log.goto(`/runs/${run.id}/jobs/go`);
  const seen = (text) => log.locator(".chunk > div", { hasText: text }).first().waitFor({ state: "attached", timeout: 30_000 });
  await lines.write("it comes by the stream");
  await seen("it comes by the stream");
  way.isOut = true;
  await lines.write("nobody hears this");
  for (const one of [page, log]) {
    await one.clock.runFor(30_000);
    assert.equal(await isLost(one).count(), 0, "two heartbeats may be late");
    await one.clock.runFor(12_000);
    await isLost(one).waitFor();
    assert.deepEqual(await violations(one), []);
  }
  way.isOut = false;
  // What they ask for meanwhile gets no answer either; by their clock they have soon waited long enough for it.
  for (const one of [page, log]) await one.clock.runFor(12_000);
  await seen("nobody hears this");
  await lines.write("it goes on");
  await seen("it goes on");
  for (const one of [page, log]) await isLost(one).waitFor({ state: "detached" });
  await lines.end();
  await page.locator("#run-head", { hasText: "Success" }).waitFor({ timeout: 30_000 });
  await log.locator("#job-head", { hasText: "Success" }).waitFor(SOON);
  const numbers = await log.locator("#s0 .chunk > div").evaluateAll((all) => all.map((line) => line.id));
  assert.equal(new Set(numbers).size, numbers.length, "each line once");
  for (const one of [page, log]) {
    away(one);
    await close(one);
  }
  way.close();
});

test("who is signed out is led to where one signs in, and asks no more", async () => {
  const { run, lines } = await begin("signed-out");
  const page = await open(held.browser, world);
  await follows(page, run);
  await page.context().clearCookies();
  await world.kill();
  await world.start();
  await page.waitForURL((url) => url.pathname === "/login", SOON);
  assert.match(page.url(), new RegExp(`next=.*runs.*${run.id}$`));
  await lines.end();
  await world.over(run.id);
  away(page);
  await close(page);
});
