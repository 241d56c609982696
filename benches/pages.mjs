// What Chromium measures on pages of a server that benches/pages.py has filled. Prints one JSON object a question.
// Usage: pages.mjs URL TOKEN < questions, one JSON object a line
import { createInterface } from "node:readline";
import { launch } from "../tests/browser/chromium.mjs";

const [url, token] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 850 }, extraHTTPHeaders: { authorization: `Bearer ${token}` } });
const painted = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** A page, and how long until it was painted as asked. */
async function timed(path, ready, given) {
  const page = await context.newPage();
  const begin = performance.now();
  await page.goto(path);
  await page.waitForFunction(ready, given);
  await painted(page);
  return [page, (performance.now() - begin) / 1000];
}

const questions = {
  /** Bytes over the wire and first contentful paint, with nothing kept from before. */
  async weight({ path }) {
    const own = await browser.newContext({ baseURL: url, extraHTTPHeaders: { authorization: `Bearer ${token}` } });
    const page = await own.newPage();
    const session = await own.newCDPSession(page);
    await session.send("Network.enable");
    let bytes = 0;
    session.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
    await page.goto(path, { waitUntil: "load" });
    await painted(page);
    const paint = await page.evaluate(() => new Promise((done) => new PerformanceObserver((list) => {
      const first = list.getEntriesByName("first-contentful-paint")[0];
      if (first) done(first.startTime);
    }).observe({ type: "paint", buffered: true })));
    const script = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => one.initiatorType === "script").reduce((sum, one) => sum + one.encodedBodySize, 0));
    await own.close();
    return { bytes, paint: paint / 1000, script };
  },
  /** A log from the click on its address until its last line is on the screen, and a search in it. */
  async log({ path, step, lines, text, count }) {
    const [page, open] = await timed(`${path}?step=${step}#${step}-L${lines}`, (id) => {
      const line = document.getElementById(id);
      const place = line?.getBoundingClientRect();
      return line?.classList.contains("chosen") && place.top >= 0 && place.bottom <= innerHeight;
    }, `${step}-L${lines}`);
    const begin = performance.now();
    await page.fill("#find", text);
    await page.keyboard.press("Enter");
    await page.waitForFunction((count) => document.querySelector(".count").textContent.endsWith(`of ${count}`) && document.querySelector(".now"), count);
    await painted(page);
    const search = (performance.now() - begin) / 1000;
    // Every line in the page, as the browser's own search has it.
    const before = performance.now();
    await page.keyboard.press("Control+f");
    await page.waitForFunction((step) => !document.querySelector(`#${step} .gap`), step, { polling: 100, timeout: 120_000 });
    const whole = (performance.now() - before) / 1000;
    const all = await page.evaluate((step) => document.querySelectorAll(`#${step} .chunk > div`).length, step);
    await page.close();
    return { open, search, whole, all };
  },
  /** Prepares to see lines: each says when it was printed, in milliseconds since 1970. */
  async follow({ path, step }) {
    const [page] = await timed(path, () => document.querySelector("[data-do=follow]"));
    await page.evaluate((step) => {
      globalThis.seen = [];
      let known = document.querySelectorAll(`#${step} .chunk > div`).length;
      const look = () => requestAnimationFrame(() => {
        // The frame with these lines is on its way to the screen now.
        setTimeout(() => {
          const lines = document.querySelectorAll(`#${step} .chunk > div`);
          for (; known < lines.length; known++) globalThis.seen.push([lines[known].lastChild.textContent, Date.now()]);
        });
      });
      new MutationObserver(look).observe(document.querySelector("#steps"), { childList: true, subtree: true });
      look();
    }, step);
    globalThis.followed = page;
    return {};
  },
  /** How long lines took from the printing to the screen, once `last` is there. */
  async seen({ last }) {
    const page = globalThis.followed;
    await page.waitForFunction((last) => globalThis.seen.some(([text]) => text === last), last, { timeout: 120_000 });
    const seen = await page.evaluate(() => globalThis.seen);
    await page.close();
    const end = seen.find(([text]) => text === last)[1];
    const taken = seen.map(([text, at]) => [/^at (\d{13})/.exec(text)?.[1], at]).filter(([printed]) => printed).map(([printed, at]) => (at - printed) / 1000);
    return { end, count: seen.length, taken };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  console.log(JSON.stringify(await questions[question.ask](question).catch((error) => ({ error: error.message }))));
}
await browser.close();
