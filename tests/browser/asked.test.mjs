// What people are asked: gates in the middle of jobs, and what a review says before a deployment is approved. With and without
// JavaScript.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, open, overflow, shared, signIn, violations } from "./chromium.mjs";
import { RULES, SHIP } from "./shop.mjs";
import { Stage } from "./stage.mjs";
import { PASSWORD, World, until } from "./world.mjs";

const held = shared();
let world, stage;

const MOVE = `name: Move
on: { push: { branches: [move] } }
jobs:
  move:
    name: Move the customers
    runs-on: ubuntu-latest
    steps:
      - run: echo counted
      - uses: pipe/approve@v1
        id: ask
        with:
          subject: Move 1,203 customers?
          name: move
          environment: production
          details: |
            + 1,203 rows in customers
            - 0 rows in accounts
      - run: echo "moved, says \${{ steps.ask.outputs.approved-by }}"
`;
const FILES = { ".github/workflows/move.yml": MOVE, ".github/workflows/ship.yml": SHIP, "migrations/1_orders.sql": "create table orders (id integer);\n" };

before(async () => {
  await held.up();
  world = await World.open({ settings: RULES });
  await world.user("grace", "admin");
  await world.user("vera", "viewer");
  await signIn(held.browser, world, "grace");
  stage = Stage.open(world);
});
after(async () => {
  await stage?.close();
  await world?.close();
});

const press = (page, button) => Promise.all([page.waitForEvent("load"), button.click()]);
/** A run whose job asks; the gate. */
async function asks() {
  const run = await world.runOf(await world.push(FILES, { branch: "move", message: "customers move" }));
  return until("a gate", async () => (await world.get(`/api/v1/runs/${run.id}`)).gates[0]);
}
const conclusion = async (gate) => (await world.over(gate.run)).conclusion;
const deeds = (gate) => world.get("/api/v1/audit?what=rollout.&limit=100").then((audit) => audit.entries.filter((one) => one.target.includes(` rollout ${gate.id} `)).map((one) => `${one.who} ${one.what} ${one.detail.comment}`));

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";

  test(`a job asks and is answered, ${how}`, async () => {
    const gate = await asks();
    const watcher = javaScriptEnabled ? await open(held.browser, world) : undefined;
    await watcher?.goto(`/runs/${gate.run}`);
    await watcher?.locator(".notice.wait", { hasText: "Move 1,203 customers?" }).waitFor();
    const page = await open(held.browser, world, { javaScriptEnabled });
    // Where it is found: what waits for you, the environment, and the run itself.
    for (const path of ["/environments/production", `/runs/${gate.run}`, "/"]) {
      await page.goto(path);
      assert.equal(await page.locator(`a[href="/runs/${gate.run}/gates/${gate.id}"]`).first().isVisible(), true, path);
    }
    await page.locator(".waiting a", { hasText: "Move 1,203 customers?" }).click();
    await page.getByRole("heading", { name: "Move 1,203 customers?" }).waitFor();
    const text = await page.locator("main").textContent();
    assert.match(text, /\+ 1,203 rows in customers[^]*sha256:[0-9a-f]{64}[^]*1 of whoever may deploy to production/);
    assert.ok(text.includes(gate.plan));
    await page.fill("textarea[name=comment]", "go <b>");
    await press(page, page.getByRole("button", { name: "Approve" }));
    assert.match(await page.locator("main").textContent(), /grace approved it[^]*: go <b>/);
    assert.equal(await page.getByRole("button", { name: "Approve" }).count(), 0, "it is answered once");
    assert.equal(await conclusion(gate), "success");
    assert.deepEqual(await deeds(gate), ["grace rollout.promote go <b>"]);
    if (watcher) {
      await watcher.locator(".jobs", { hasText: "grace approved it: go <b>" }).waitFor();
      assert.equal(await watcher.locator(".notice.wait").count(), 0);
      await close(watcher);
    }
    // What was asked stays to be read.
    await page.goto(`/rollouts/${gate.id}`);
    assert.match(page.url(), new RegExp(`/runs/${gate.run}/gates/${gate.id}$`));
    assert.equal(await page.locator("form.decide").count(), 0);
    await close(page);
  });

  test(`a job asks and is rejected, ${how}`, async () => {
    const gate = await asks();
    const page = await open(held.browser, world, { javaScriptEnabled });
    await page.goto(`/runs/${gate.run}`);
    if (javaScriptEnabled) {
      // By keys alone.
      await page.keyboard.press("a");
      assert.match(await page.evaluate(() => document.activeElement.textContent), /Answer: Move 1,203 customers\?/);
      await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
      await page.locator("textarea").focus();
      await page.keyboard.type("not today");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
    } else {
      await press(page, page.getByRole("link", { name: "Answer" }));
      await page.fill("textarea[name=comment]", "not today");
      await press(page, page.getByRole("button", { name: "Reject" }));
    }
    assert.match(await page.locator("main").textContent(), /grace rejected it[^]*: not today/);
    assert.equal(await conclusion(gate), "failure");
    assert.deepEqual(await deeds(gate), ["grace rollout.abort not today"]);
    await close(page);
  });
}

test("pages of gates are for everybody: both themes, a telephone, who may not answer; and so are commands", async () => {
  const gate = await asks();
  const paths = [`/runs/${gate.run}/gates/${gate.id}`, `/runs/${gate.run}`, "/", "/environments/production"];
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(held.browser, world, { colorScheme });
    for (const path of paths) {
      await page.goto(path);
      assert.deepEqual(await violations(page), [], path);
    }
    await close(page);
  }
  const small = await open(held.browser, world, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  for (const path of paths) {
    await small.goto(path);
    assert.equal(await overflow(small), 0, path);
  }
  await close(small);
  const page = await open(held.browser, world, { isSignedOut: true });
  await page.goto("/login");
  await page.fill("input[name=name]", "vera");
  await page.fill("input[name=password]", PASSWORD);
  await press(page, page.locator("main button[type=submit]"));
  assert.equal(await page.locator(".waiting", { hasText: "Move 1,203 customers?" }).count(), 0, "it does not wait for her");
  await page.goto(paths[0]);
  assert.match(await page.locator("main").textContent(), /vera may not steer what goes on in `production`/);
  assert.equal(await page.locator("form.decide").count(), 0);
  assert.deepEqual(await violations(page), []);
  await close(page);
  assert.match(await world.pipe("runs"), new RegExp(`run ${gate.run} waits for you: Move 1,203 customers\\? \\(.pipe approve ${gate.run} gate:move. or`));
  assert.match(await world.pipe("show", `${gate.run}`), /asks: Move 1,203 customers\?/);
  assert.match(await world.pipe("approve", `${gate.run}`, "-m", "by hand"), /Move 1,203 customers\?: approved/);
  assert.equal(await conclusion(gate), "success");
  await assert.rejects(world.pipe("reject", `${gate.run}`, "gate:move"), /has no gate .gate:move. that waits/);
});

test("a review says what cannot be undone, and what scans found since", async () => {
  const first = await world.runOf(await world.push(FILES, { message: "orders" }));
  await world.when(first.id, "a review is waited for", (one) => one.status === "waiting");
  await world.post(`/api/v1/runs/${first.id}/reviews`, { state: "approved", environment: "production" });
  await world.over(first.id);
  const deployment = await until("a deployment", async () => (await world.get("/api/v1/deployments")).deployments.find((one) => one.run === first.id && one.state === "success"));
  // A deployment and its rollout lead to each other.
  const rollout = await stage.begin("orders", "v1", { run: first.id, job: "ship" });
  await stage.scan(first.id, "shop/orders:1", "old:low,both:high");
  const drop = { "migrations/2_drop.sql": "DROP TABLE orders;\n" };
  const second = await world.runOf(await world.push(drop, { message: "orders go away" }));
  await world.when(second.id, "a review is waited for", (one) => one.status === "waiting");
  await stage.scan(second.id, "shop/orders:2", "both:high,new:critical");
  for (const javaScriptEnabled of [true, false]) {
    const page = await open(held.browser, world, { javaScriptEnabled });
    await page.goto(`/runs/${second.id}/review/production`);
    const text = (await page.locator("main").textContent()).replace(/\s+/g, " ");
    assert.match(text, /This cannot be undone\..*migrations\/2_drop\.sql drops table orders/);
    assert.match(text, /shop\/orders:2.*1 critical, 1 high.*1 new, 1 gone.*Critical CVE-new in openssl, which fails/);
    await page.goto(`/deployments/${deployment.id}`);
    await press(page, page.getByRole("link", { name: `${rollout}: v1` }));
    await press(page, page.getByRole("link", { name: `deployment ${deployment.id}` }));
    assert.match(page.url(), new RegExp(`/deployments/${deployment.id}$`));
    await close(page);
  }
  const findings = ["open", "new", "standing", "fixed"].map((state) => `/findings?state=${state}`);
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(held.browser, world, { colorScheme });
    for (const path of [`/runs/${second.id}/review/production`, `/deployments/${deployment.id}`, `/rollouts/${rollout}`, ...findings]) {
      await page.goto(path);
      assert.deepEqual(await violations(page), [], path);
    }
    await close(page);
  }
  const small = await open(held.browser, world, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  for (const path of [`/runs/${second.id}/review/production`, findings[0]]) {
    await small.goto(path);
    assert.equal(await overflow(small), 0, path);
  }
  await close(small);
  // The same over time: what is new is found by its filters, without a script too.
  for (const javaScriptEnabled of [true, false]) {
    const page = await open(held.browser, world, { javaScriptEnabled });
    await page.goto("/");
    await press(page, page.getByRole("link", { name: "Findings" }));
    const rows = async () => (await page.locator("section[aria-labelledby=h-listed] tbody tr").allTextContents()).map((row) => row.replace(/\s+/g, " "));
    const listed = await rows();
    assert.ok(listed.length === 2 && /Critical fails ?CVE-new openssl ?shop\/orders.* new$/.test(listed[0].trim()) && /High ?CVE-both .* stands$/.test(listed[1].trim()), `${listed}`);
    await page.selectOption("select[name=state]", "fixed");
    await press(page, page.getByRole("button", { name: "Filter" }));
    assert.match(`${await rows()}`, /Low ?CVE-old .*still stands/);
    await page.selectOption("select[name=state]", "new");
    await page.selectOption("select[name=severity]", "low");
    await press(page, page.getByRole("button", { name: "Filter" }));
    assert.match(await page.locator("main").textContent(), /Nothing that does not stand there already/);
    await close(page);
  }
});
