// Pictures of the main pages for docs/ui.md, as PNG: `make screenshots`. Usage: screenshots.mjs [FOLDER]
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { launch, open, close, signIn } from "./chromium.mjs";
import { RULES, fill, files } from "./shop.mjs";
import { Stage } from "./stage.mjs";
import { ROOT, World, until } from "./world.mjs";

const MOVE = `name: Move
on: { push: { branches: [move] } }
jobs:
  move:
    name: Move the customers
    runs-on: ubuntu-latest
    steps:
      - uses: pipe/approve@v1
        with:
          subject: Move 1,203 customers?
          details: |
            + 1,203 rows in customers
            - 1,203 rows in customers_before
          environment: production
`;
const BYTES_MAX = 100_000;
const folder = process.argv[2] ?? join(ROOT, "docs/screenshots");
await mkdir(folder, { recursive: true });
const browser = await launch();
const world = await World.open({ settings: RULES });
let stage;
try {
  await world.user("grace", "admin");
  await signIn(browser, world, "grace");
  await world.push(files("true"), { message: "the shop begins", author: "Ada Lovelace <ada@example.org>" });
  const first = (await world.get("/api/v1/runs?limit=5")).runs;
  for (const one of first) await world.over(one.id).catch(() => {});
  const { failed, waiting: before } = await fill(world, "sleep");
  await world.post(`/api/v1/runs/${before.id}/reviews`, { state: "approved", environment: "production", comment: "looks good" });
  await world.over(before.id);
  const more = { "services/orders/refund.js": "export const refund = () => {};\n", "migrations/0003_refunds.sql": "create table refunds (id integer primary key);\n" };
  const waiting = await world.runOf(await world.push(more, { message: "orders: money goes back within a day", author: "Grace Hopper <grace@example.org>" }));
  await world.when(waiting.id, "a review is waited for", (one) => one.status === "waiting");
  // A rollout that goes on, one that was caught, and a job that asks.
  stage = Stage.open(world);
  const caught = await stage.begin("orders", "v41", { run: before.id, job: "production", errors: 150 });
  await until("its end", async () => (await world.get(`/api/v1/rollouts/${caught}`)).view.outcome);
  const rollout = await stage.begin("orders", "v42", { run: before.id, job: "production" });
  await until("evidence", async () => (await world.get(`/api/v1/rollouts/${rollout}`)).view.evidence.length > 0);
  await stage.scan(before.id, "shop/orders:1", "0286:high");
  await stage.scan(waiting.id, "shop/orders:2", "0286:high,5678:medium");
  const asking = await world.runOf(await world.push({ ".github/workflows/move.yml": MOVE }, { branch: "move", message: "customers: the last of them move" }));
  const gate = await until("a gate", async () => (await world.get(`/api/v1/runs/${asking.id}`)).gates[0]);
  const shots = [
    ["runs", "/", { viewport: { width: 1280, height: 600 } }],
    ["run", `/runs/${waiting.id}`],
    ["job", `/runs/${failed.id}/jobs/test(1)`],
    ["review", `/runs/${waiting.id}/review/production`],
    ["gate", `/runs/${gate.run}/gates/${gate.id}`],
    ["environments", "/environments"],
    ["environment", "/environments/production"],
    ["rollout", `/rollouts/${rollout}`],
    ["tests", "/tests?order=name"],
    ["findings", "/findings"],
    ["insights", "/insights?since=30d"],
    ["dispatch", "/dispatch?repository=acme/shop&workflow=.github/workflows/release.yml"],
    ["settings", "/settings/users"],
    ["run-dark", `/runs/${waiting.id}`, { colorScheme: "dark" }],
    ["run-mobile", `/runs/${failed.id}`, { viewport: { width: 390, height: 844 }, isMobile: true }],
    ["job-mobile", `/runs/${failed.id}/jobs/test(1)`, { viewport: { width: 390, height: 844 }, isMobile: true }],
  ];
  for (const [name, path, options] of shots) {
    const page = await open(browser, world, { reducedMotion: "reduce", viewport: { width: 1280, height: 640 }, ...options });
    await page.goto(path);
    await page.evaluate(() => document.fonts.ready);
    const image = await page.screenshot({ type: "png" });
    await writeFile(join(folder, `${name}.png`), image);
    if (image.length > BYTES_MAX) console.error(`${name}.png has ${image.length} bytes, more than ${BYTES_MAX}`);
    await close(page);
  }
} finally {
  await stage?.close();
  await world.close();
  await browser.close();
}
