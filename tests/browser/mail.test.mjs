// A review by mail: the links of a real mail, looked at and used by somebody without an account. With and without JavaScript.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, open, overflow, shared, violations } from "./chromium.mjs";
import { Post, free } from "./post.mjs";
import { SHIP } from "./shop.mjs";
import { World, until } from "./world.mjs";

const held = shared();
let world, post;

before(async () => {
  await held.up();
  post = await Post.open();
  const address = await free();
  const settings = `
[server]
url = "http://${address}"
[environments.production]
reviewers = ["ann@example.org"]
[notify.people]
form = "mail"
server = "${post.address}"
tls = "none"
from = "pipe <ci@example.org>"
to = ["ann@example.org"]
email-link = "token"
`;
  world = await World.open({ settings, address });
});
after(async () => {
  await world?.close();
  post?.close();
});

let count = 0;
/** A run that waits, and the two links of its mail: with the token behind `#`, and where scripts do not run. */
async function asked() {
  const message = `change ${++count}`;
  const run = await world.runOf(await world.push({ ".github/workflows/ship.yml": SHIP, [`migrations/${count}_a.sql`]: "create table a (id integer);\n" }, { message }));
  await world.when(run.id, "a review is waited for", (one) => one.status === "waiting");
  const mail = await post.find(new RegExp(`${message}[^]*/a/[\\w-]+#[\\w-]+[^]*/a/[\\w-]+\\?t=[\\w-]+`));
  return { run, links: [/\/a\/[\w-]+#[\w-]+/.exec(mail)[0], /\/a\/[\w-]+\?t=[\w-]+/.exec(mail)[0]] };
}

test("what a link leads to can be used by everybody, and looking changes nothing", async () => {
  const { run, links } = await asked();
  for (const colorScheme of ["light", "dark"]) {
    for (const [link, javaScriptEnabled] of [[links[0], true], [links[1], true], [links[1], false]]) {
      const page = await open(held.browser, world, { colorScheme, javaScriptEnabled });
      await page.goto(link);
      await page.getByRole("button", { name: "Approve production" }).waitFor();
      assert.match(await page.locator("main").textContent(), /You are ann@example\.org/);
      if (javaScriptEnabled) assert.deepEqual(await violations(page), [], link);
      if (link.includes("#")) assert.equal(new URL(page.url()).hash, "", "the token is out of the address");
      await close(page);
    }
    // Without its token, without scripts: it says what to do.
    const page = await open(held.browser, world, { colorScheme });
    await page.goto(links[0].split("#")[0]);
    await page.getByRole("heading", { name: "A review is wanted" }).waitFor();
    assert.deepEqual(await violations(page), []);
    await close(page);
  }
  const small = await open(held.browser, world, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await small.goto(links[0]);
  await small.getByRole("button", { name: "Approve production" }).waitFor();
  assert.equal(await overflow(small), 0);
  await close(small);
  assert.equal((await world.get(`/api/v1/runs/${run.id}`)).status, "waiting");
  await world.post(`/api/v1/runs/${run.id}/cancel`, { force: true });
  await world.over(run.id);
});

for (const [javaScriptEnabled, at, button, expected] of [[true, 0, "Approve production", "success"], [false, 1, "Reject", "failure"]]) {
  test(`somebody without an account: ${button.toLowerCase()}, ${javaScriptEnabled ? "with" : "without"} JavaScript`, async () => {
    const { run, links } = await asked();
    const page = await open(held.browser, world, { javaScriptEnabled });
    const press = async () => Promise.all([page.waitForEvent("load"), page.getByRole("button", { name: button }).click()]);
    await page.goto(links[at]);
    await page.getByRole("button", { name: button }).waitFor();
    await page.fill("#f-environment", "staging");
    await press();
    assert.match(await page.locator("main").textContent(), /production/);
    assert.equal((await world.get(`/api/v1/runs/${run.id}`)).status, "waiting", "another name decides nothing");
    page.wrong = page.wrong.filter((one) => !/ 4\d\d /.test(one));
    await page.goto(links[at]);
    await page.getByRole("button", { name: button }).waitFor();
    await page.fill("#f-environment", "production");
    await page.fill("#f-comment", "from my desk");
    await press();
    assert.match(await page.locator("main").textContent(), /You (approved|rejected) it/);
    if (javaScriptEnabled) assert.deepEqual(await violations(page), []);
    assert.equal((await world.over(run.id)).conclusion, expected);
    // The link is used: whoever opens it again is told what was decided.
    await page.goto(links[1]);
    assert.match(await page.locator("main").textContent(), /Already (approved|rejected) by ann@example\.org/);
    if (javaScriptEnabled) assert.deepEqual(await violations(page), []);
    await close(page);
  });
}

test("what a job asks in its middle is told by mail, with the page to answer at", async () => {
  const MOVE = `name: Move
on: { push: { branches: [move] } }
jobs:
  move:
    runs-on: ubuntu-latest
    steps:
      - uses: pipe/approve@v1
        with: { subject: "Move 1,203 customers?", name: move, environment: production, details: "+ 1,203 rows" }
`;
  const run = await world.runOf(await world.push({ ".github/workflows/move.yml": MOVE }, { branch: "move", message: "customers move" }));
  // `pipe watch` ends where somebody has to answer.
  const watched = world.command(["watch", `${run.id}`, "--until-review", "--data", world.data]);
  const mail = await post.find(/Answer wanted for production: Move #1 on move \(acme\/shop\)[^]*Move 1,203 customers\?/);
  await watched;
  const [path] = /\/runs\/\d+\/gates\/\d+/.exec(mail);
  assert.equal(path, `/runs/${run.id}/gates/${path.split("/").at(-1)}`);
  assert.match(mail, /\+ 1,203 rows/);
  await world.post(`/api/v1/runs/${run.id}/cancel`, { force: true });
  await world.over(run.id);
  await until("the gate's end", async () => (await world.get(`/api/v1/runs/${run.id}/reviews`)).gates.length === 0);
  assert.equal(post.mails.filter((one) => one.includes("Answer wanted")).length, 1);
});
