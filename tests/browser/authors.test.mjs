// Who wrote what would be new in an environment does not approve it there (row A01), where its rules say so: over real commits.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, open, shared, signIn, violations } from "./chromium.mjs";
import { RULES, SHIP } from "./shop.mjs";
import { World, until } from "./world.mjs";

const held = shared();
let world;

before(async () => {
  await held.up();
  // The last table of the rules is production's.
  world = await World.open({ settings: `${RULES}prevent-author-review = true\n` });
  for (const name of ["ada", "bob", "grace"]) await world.user(name, "admin");
  for (const name of ["ada", "grace"]) await world.pipe("user", "alias", "add", name, `mail:${name}@example.org`);
});
after(() => world?.close());

/** The review page of a run, as somebody sees it. */
async function review(name, run) {
  await signIn(held.browser, world, name);
  const page = await open(held.browser, world);
  await page.goto(`/runs/${run.id}/review/production`);
  await page.getByRole("heading", { name: "Who decides" }).waitFor();
  return page;
}

async function waits(author, message) {
  const run = await world.runOf(await world.push({ ".github/workflows/ship.yml": SHIP, message }, { message, author }));
  return world.when(run.id, "a review is waited for", (one) => one.status === "waiting");
}

async function approves(name, run) {
  const page = await review(name, run);
  await page.getByRole("button", { name: "Approve production" }).click();
  await page.waitForURL(`**/runs/${run.id}`);
  await world.over(run.id);
  await close(page);
  const is_it = (one) => one.run === run.id && one.state === "success";
  await until("its deployment", async () => (await world.get("/api/v1/deployments")).deployments.find(is_it));
}

async function is_refused(name, run, why) {
  const page = await review(name, run);
  assert.match(await page.locator("section[aria-labelledby=h-who]").textContent(), why);
  assert.equal(await page.locator("form.decide").count(), 0, `${name} has no buttons`);
  assert.deepEqual(await violations(page), []);
  await close(page);
}

test("authors of what is new do not approve it, and nobody whose commits nobody knows", async () => {
  const first = await waits("Ada <ada@example.org>", "orders: begin");
  await is_refused("ada", first, /Nor whoever wrote a commit that does not stand there yet: ada, ada@example.org.*ada wrote commits that run/s);
  await is_refused("bob", first, /no mail address of bob is known here/);
  await approves("grace", first);
  // What Ada wrote stands there now: only what Grace wrote would be new.
  const second = await waits("Grace <grace@example.org>", "orders: go on");
  await is_refused("grace", second, /grace@example.org wrote commits|grace wrote commits/);
  await approves("ada", second);
  const told = await world.get(`/api/v1/runs/${second.id}`);
  assert.equal(told.conclusion, "success");
});
