// The first minutes of somebody with a new server: the address with a code, the start page, signing out and in again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { close, open, shared } from "./chromium.mjs";
import { PASSWORD, World } from "./world.mjs";

const held = shared();

for (const javaScriptEnabled of [true, false]) {
  test(`first login by the one-time address, ${javaScriptEnabled ? "with" : "without"} JavaScript`, async () => {
    const world = await World.open();
    try {
      assert.match(world.firstLogin, /\/login\?code=/);
      const page = await open(held.browser, world, { javaScriptEnabled });
      await page.goto(world.firstLogin);
      await page.fill("input[name=name]", "grace");
      await page.fill("input[name=full_name]", "Grace Hopper");
      await page.fill("input[name=password]", PASSWORD);
      await page.fill("input[name=again]", PASSWORD);
      await page.click("main button[type=submit]");
      await page.waitForURL((url) => url.pathname === "/");
      await page.getByRole("heading", { name: "Nothing has run yet" }).waitFor();
      await page.click("summary[aria-label='Signed in as grace']");
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
      await page.goto("/environments");
      assert.match(page.url(), /\/login\?next=/, "a page needs a session");
      await page.fill("input[name=name]", "grace");
      await page.fill("input[name=password]", "a wrong password, really");
      await page.click("main button[type=submit]");
      await page.locator(".notice.bad").waitFor();
      await page.fill("input[name=password]", PASSWORD);
      await page.click("main button[type=submit]");
      await page.waitForURL((url) => url.pathname === "/environments");
      // The code holds once.
      const again = await open(held.browser, world, { isSignedOut: true, javaScriptEnabled });
      await again.goto(world.firstLogin);
      assert.equal(await again.locator("input[name=full_name]").count(), 0, "the code does not hold twice");
      await again.context().close();
      page.wrong = page.wrong.filter((one) => !/ 40[13] /.test(one));
      await close(page);
    } finally {
      await world.close();
    }
  });
}
