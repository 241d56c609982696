// The page of an environment while traffic is being shifted, and the buttons that steer it. With and without JavaScript.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, nothingWrong, open, overflow, shared, signIn, violations } from "./chromium.mjs";
import { RULES } from "./shop.mjs";
import { Stage } from "./stage.mjs";
import { World, until } from "./world.mjs";

const held = shared();
let world, stage, run;

const DEPLOY = `name: Deploy
on: { push: { branches: [main] } }
jobs:
  deploy:
    name: Deploy to production
    runs-on: ubuntu-latest
    steps:
      - run: echo deployed
  smoke:
    needs: deploy
    runs-on: ubuntu-latest
    steps:
      - run: echo fine
`;

before(async () => {
  await held.up();
  world = await World.open({ settings: RULES });
  await world.user("grace", "admin");
  await world.user("vera", "viewer");
  await signIn(held.browser, world, "grace");
  run = await world.runOf(await world.push({ ".github/workflows/deploy.yml": DEPLOY }));
  await world.over(run.id);
  stage = Stage.open(world);
});
after(async () => {
  await stage?.close();
  await world?.close();
});

const PAGE = "/environments/production";
const live = (page, id) => page.locator(`#service-${id}`);
const number = async (page, id, row, column) => Number(await live(page, id).locator(`.colours tr:has(th:text-is("${row}")) td`).nth(column).textContent());
/** Presses the button of a form, and waits for the page that answers: a page that is left before takes its form with it. */
const press = (page, button) => Promise.all([page.waitForEvent("load"), button.click()]);
/** Waits for the state: with a script the page shows it by itself, without one it is loaded again. */
async function comes(page, id, is_scripted, text) {
  const status = page.locator(`#rollout-${id} .status`);
  if (is_scripted) return status.filter({ hasText: text }).waitFor();
  await until(`${text} of rollout ${id}`, async () => {
    // Not `reload`, which fails where the answer of a form has just taken the page's place; an anchor would load nothing.
    await page.goto(page.url().split("#")[0]);
    return (await status.textContent()).includes(text);
  });
}
const split = (page, id, text) => page.locator(`#rollout-${id} .split-words span:nth-of-type(2) b`, { hasText: text }).waitFor();
/** Waits until green has a share, and it stands. */
const at = (id, weight) => until(`${weight} of rollout ${id}`, async () => {
  const { view } = await world.get(`/api/v1/rollouts/${id}`);
  return view.weight === weight && view.phase === "holding";
});
const orders = (id) => world.get(`/api/v1/audit?what=rollout.&limit=100`).then((audit) => audit.entries.filter((one) => one.target.includes(` rollout ${id} `)).map((one) => one.what).reverse());

test("a shift that goes on: what is seen, live, without jumps", async () => {
  const id = await stage.begin("orders", "v2", { run: run.id });
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(held.browser, world, { colorScheme });
    await page.goto(PAGE);
    await split(page, id, "10 %");
    await live(page, id).locator(".evidence li").first().waitFor();
    assert.equal(await live(page, id).locator(".split").getAttribute("aria-label"), "Traffic: blue 90 %, green 10 %");
    assert.match(await live(page, id).textContent(), /Gathers evidence[^]*v2[^]*Evidence so far[^]*Errors[^]*grace asked for orders v2/);
    assert.match(await page.locator(`#say-${id}`).textContent(), /orders: Gathers evidence, 10 % of the traffic goes to v2/);
    assert.equal(await page.locator(`#say-${id}`).getAttribute("aria-live"), "polite");
    // Numbers come by themselves, and nothing moves, nor is what somebody types lost.
    await page.fill(`#comment-${id}`, "it looks good so far");
    const places = () => page.evaluate(() => [...document.querySelectorAll("h2, h3, .split, .colours, button")].map((one) => `${one.textContent.trim().slice(0, 20)} ${Math.round(one.getBoundingClientRect().top + scrollY)}`));
    const [before, from] = [await places(), await number(page, id, "Requests", 0)];
    await page.waitForFunction(([selector, from]) => Number(document.querySelector(selector).textContent) > from + 20, [`#more-${id} .colours tbody tr:nth-child(4) td`, from]);
    assert.deepEqual(await places(), before, "nothing jumps");
    assert.equal(await page.inputValue(`#comment-${id}`), "it looks good so far");
    assert.deepEqual(await violations(page), []);
    await close(page);
  }
  const page = await open(held.browser, world);
  for (const path of [`/rollouts/${id}`, "/environments", `/runs/${run.id}`]) {
    await page.goto(path);
    assert.deepEqual(await violations(page), [], path);
  }
  // The run's graph and its list of jobs show it, and lead to it.
  assert.match(await page.locator(".graph a", { hasText: "Deploy to production" }).textContent(), /10 % · holding/);
  assert.equal(await page.locator(".graph .split-green").count(), 1);
  await page.locator(".jobs a", { hasText: "orders to production" }).click();
  await page.waitForURL(`**${PAGE}#service-${id}`);
  await close(page);
  const small = await open(held.browser, world, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  for (const path of [PAGE, `/rollouts/${id}`, "/environments"]) {
    await small.goto(path);
    assert.equal(await overflow(small), 0, path);
  }
  await close(small);
});

test("who may not deploy sees no buttons", async () => {
  const page = await open(held.browser, world, { isSignedOut: true });
  await page.goto("/login");
  await page.fill("input[name=name]", "vera");
  await page.fill("input[name=password]", "correct horse battery");
  await page.click("main button[type=submit]");
  await page.waitForURL((url) => url.pathname === "/");
  await page.goto(PAGE);
  assert.equal(await page.locator("[name=order]").count(), 0);
  assert.match(await page.locator(".orders").first().textContent(), /who has a role that deploys/);
  await close(page);
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";
  const service = javaScriptEnabled ? "products" : "frontend";

  test(`pause, resume, promote, promote fully, ${how}`, async () => {
    const page = await open(held.browser, world, { javaScriptEnabled });
    const watcher = javaScriptEnabled ? await open(held.browser, world) : undefined;
    await watcher?.goto(PAGE);
    const id = await stage.begin(service, "v3");
    // Another rollout begins while somebody looks: it comes into the page.
    if (watcher) await split(watcher, id, "10 %");
    await at(id, 100);
    await page.goto(PAGE);
    const section = page.locator(`#service-${id}`);
    await section.locator("textarea").fill("lunch <b>");
    await press(page, section.getByRole("button", { name: "Pause" }));
    await comes(page, id, javaScriptEnabled, "Waits for a person");
    assert.match(await live(page, id).textContent(), /grace[^]*: lunch <b>/);
    await press(page, section.getByRole("button", { name: "Resume" }));
    await comes(page, id, javaScriptEnabled, "Gathers evidence");
    await press(page, section.getByRole("button", { name: "Promote", exact: true }));
    if (watcher) await split(watcher, id, "50 %");
    await at(id, 500);
    await page.goto(`/rollouts/${id}`);
    await page.getByRole("heading", { name: "What it changes" }).waitFor();
    await press(page, page.getByRole("button", { name: "Promote fully" }));
    await at(id, 1000);
    await page.goto(`/rollouts/${id}`);
    await press(page, page.getByRole("button", { name: "Promote", exact: true }));
    await comes(page, id, javaScriptEnabled, "Succeeded");
    if (watcher) {
      await watcher.locator(`#rollout-${id} .status`, { hasText: "Succeeded" }).waitFor();
      await watcher.locator("#history", { hasText: "v3" }).waitFor();
      nothingWrong(watcher);
      await watcher.context().close();
    }
    assert.deepEqual(await orders(id), ["rollout.pause", "rollout.resume", "rollout.promote", "rollout.promote-full", "rollout.promote"]);
    await close(page);
  });

  test(`abort asks before it is done, ${how}`, async () => {
    const id = await stage.begin(service, "v4");
    await at(id, 100);
    const page = await open(held.browser, world, { javaScriptEnabled });
    await page.goto(PAGE);
    const section = page.locator(`#service-${id}`);
    assert.equal(await section.getByRole("button", { name: "Yes, abort" }).isVisible(), false);
    await section.locator("summary", { hasText: "Abort" }).click();
    assert.match(await section.locator(".sure").first().textContent(), /goes to blue, v1, again/);
    await press(page, section.getByRole("button", { name: "Yes, abort" }));
    await comes(page, id, javaScriptEnabled, "Rolled back");
    assert.match(await page.locator("#history").textContent(), /v4[^]*Rolled back/);
    assert.deepEqual(await orders(id), ["rollout.abort"]);
    await close(page);
  });
}

test("roll back: of one that goes on, and after success", async () => {
  const id = await stage.begin("till", "v5");
  await at(id, 100);
  // From the command line, of one that goes on: it is the same rollout.
  assert.match(await world.pipe("deploy", "rollback", "production", "--service", "till", "-m", "wrong prices"), new RegExp(`rollout ${id} of till to production: rollback is ordered`));
  await until("its end", async () => (await world.get(`/api/v1/rollouts/${id}`)).view.outcome === "rolled-back");
  const good = await stage.begin("till", "v6");
  await at(good, 100);
  await world.pipe("deploy", "promote", "production", "--service", "till", "--full");
  await at(good, 1000);
  await world.pipe("deploy", "promote", "production", "--service", "till");
  await until("its end", async () => (await world.get(`/api/v1/rollouts/${good}`)).view.outcome === "succeeded");
  const page = await open(held.browser, world);
  await page.goto(PAGE);
  const section = page.locator(`#service-${good}`);
  // The first news of a page come as soon as it is there.
  const asks = section.locator("details", { hasText: "Roll back" });
  await until("the question", async () => {
    await asks.evaluate((details) => { details.open = true; });
    return section.locator("textarea").fill("the prices again", { timeout: 1_000 }).then(() => true, () => false);
  });
  const answered = page.waitForResponse((response) => response.request().method() === "POST");
  await section.getByRole("button", { name: "Yes, roll back" }).click();
  const sent = new URLSearchParams((await answered).request().postData());
  assert.deepEqual([sent.get("service"), sent.get("comment"), (await answered).url()], ["till", "the prices again", `${world.url}${PAGE}/rollback`]);
  // Nothing of it can be started again here; the page says so in words, or shows the rollout that takes it back.
  await page.waitForLoadState();
  assert.match(await page.locator("main").textContent(), /till/);
  page.wrong = page.wrong.filter((one) => !/ 409 /.test(one));
  await close(page);
});

test("a planted fault is caught while somebody looks", async () => {
  const page = await open(held.browser, world);
  await page.goto(PAGE);
  const id = await stage.begin("orders", "v8", { errors: 150, environment: "production" });
  await split(page, id, "10 %");
  await comes(page, id, true, "Rolled back");
  assert.match(await live(page, id).locator(".facts").first().textContent(), /because: (the evidence|green's answers fail in a row)/);
  assert.match(await live(page, id).locator(".now").textContent(), /green/);
  assert.match(await page.locator(`#say-${id}`).textContent(), /orders: Rolled back/);
  assert.match(await world.pipe("deploy", "explain", "production", "--service", "orders"), /errors: .*\(E = /);
  await close(page);
});

test("stuck is loud, and a late order is refused in words", async () => {
  const id = await stage.begin("stock", "v7");
  await at(id, 100);
  const page = await open(held.browser, world);
  await page.goto(PAGE);
  await stage.break(id);
  await page.locator(`#service-${id} summary`, { hasText: "Abort" }).click();
  await press(page, page.locator(`#service-${id}`).getByRole("button", { name: "Yes, abort" }));
  const notice = page.locator(`#rollout-${id} [role=alert]`);
  await notice.waitFor();
  assert.match(await notice.textContent(), /Stuck: a person must look[^]*the lock is held/);
  assert.deepEqual(await violations(page), []);
  await close(page);
  const late = await fetch(`${world.url}/api/v1/rollouts/${id}/orders`, {
    method: "POST", body: JSON.stringify({ order: "promote" }), headers: { authorization: `Bearer ${world.token}`, "content-type": "application/json" },
  });
  assert.equal(late.status, 409);
  assert.match((await late.json()).detail, /takes no `promote` now/);
});
