// Whether a service that has just come up is the one that should have, and does what it is for. It changes nothing, so it
// runs in production too. VERSION is a commit, or the beginning of one.
//   TEST_URL=http://127.0.0.1:8191 SERVICE=orders VERSION=1a2b3c4 node tests/shop/smoke.mjs
import { Checks, Shop, equal, is, settings } from "./shop.mjs";

const { TEST_URL, SERVICE, VERSION } = settings("TEST_URL", "SERVICE", "VERSION");
const READY_SECONDS_MAX = 60;
const shop = new Shop(TEST_URL);
const checks = new Checks();
const base = Shop.base(SERVICE);

console.log(`Smoke test of ${SERVICE} ${VERSION} at ${TEST_URL}${base}`);

await checks.that("it is alive, and the version that was deployed", async () => {
  const { json, headers } = is(await shop.get(`${base}/health`), 200);
  equal(json.status, "ok", "status");
  equal(json.service, SERVICE, "service");
  equal(json.version.slice(0, VERSION.length), VERSION, "version");
  equal(headers.get("x-version"), json.version, "X-Version");
  return json.version.slice(0, 7);
});

// What it needs may take a while to be there, on a busy machine above all.
await checks.that("it is ready", async () => {
  const end = Date.now() + READY_SECONDS_MAX * 1000;
  for (;;) {
    const answer = await shop.get(`${base}/ready`);
    if (answer.status === 200 || Date.now() > end) return is(answer, 200).json.status;
    await new Promise((done) => setTimeout(done, 500));
  }
});

const WHAT_IT_IS_FOR = {
  products: ["it lists products", async () => {
    const { products } = is(await shop.get("/api/products/products?limit=5"), 200).json;
    if (!products.length) throw new Error("there are no products");
    return products.map(({ name }) => name).join(", ");
  }],
  orders: ["it lists orders", async () => {
    const { orders } = is(await shop.get("/api/orders/orders?limit=5"), 200).json;
    return `${orders.length} of them`;
  }],
  frontend: ["it shows the products", async () => {
    const { text } = is(await shop.get("/"), 200);
    const links = text.match(/href="\/products\/\d+"/g) ?? [];
    if (!links.length) throw new Error(`there is no product on the page: ${text.slice(0, 300)}`);
    return `${links.length} on the page`;
  }],
};
if (!WHAT_IT_IS_FOR[SERVICE]) {
  console.error(`there is no service ${SERVICE}; there are ${Object.keys(WHAT_IT_IS_FOR).join(", ")}`);
  process.exit(2);
}
await checks.that(...WHAT_IT_IS_FOR[SERVICE]);

checks.end("Smoke test");
