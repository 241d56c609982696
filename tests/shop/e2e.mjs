// A visit to the whole shop, from the list of products to the order: by its pages, as a visitor, and by its services, as an
// app. It leaves two orders, so it is not for production. With SERVICE and TEST_URL, that service is the one that comes.
//   SHOP_URL=http://127.0.0.1:8091 TEST_URL=http://127.0.0.1:8191 SERVICE=orders node tests/shop/e2e.mjs
import { randomUUID } from "node:crypto";
import { Checks, Shop, equal, is, settings } from "./shop.mjs";

const { SHOP_URL } = settings("SHOP_URL");
const { SERVICE, TEST_URL } = process.env;
const shop = new Shop(SHOP_URL, { service: SERVICE, test: TEST_URL });
const checks = new Checks();
// Nobody's: example.org is kept for such use. In letters, as most addresses are.
const customer = `visitor.${[...randomUUID()].filter((letter) => /[a-f]/.test(letter)).join("")}@example.org`;
let product;
let order;

console.log(`Visiting the shop at ${SHOP_URL} as ${customer}${TEST_URL ? `, ${SERVICE} at ${TEST_URL}` : ""}`);

const missing = await shop.missing(["products", "orders", "frontend"]);
if (missing.length) {
  // Only while an environment is being filled for the first time: then those that come later visit all of it.
  console.log(`::notice title=Not visited::The shop is not whole yet, ${missing.join(" and ")} will come.`);
  process.exit(0);
}

await checks.that("products are listed", async () => {
  const { products } = is(await shop.get("/api/products/products"), 200).json;
  if (!products.length) throw new Error("there are none");
  product = products.find(({ stock }) => stock > 0) ?? products[0];
  return `${products.length}, of which ${product.name} is bought`;
});

await checks.that("its page shows its price and a form", async () => {
  const { text } = is(await shop.get(`/products/${product.id}`), 200);
  if (!text.includes(`name="price_cents" value="${product.price_cents}"`) && !text.includes("/checkout")) {
    throw new Error(`the form has not the price ${product.price_cents}: ${text.slice(0, 500)}`);
  }
});

await checks.that("ordering by the form leads to the order", async () => {
  const fields = { key: randomUUID(), customer, quantity: 2, price_cents: product.price_cents };
  const { headers } = is(await shop.form(`/products/${product.id}/order`, fields), 303);
  const place = headers.get("location");
  const { text } = is(await shop.get(place), 200);
  if (!text.includes(customer) || !text.includes(product.name)) throw new Error(`the page has not the order: ${text}`);
  return place;
});

await checks.that("ordering by the service gives the sum of the catalogue's prices", async () => {
  const wanted = { customer, items: [{ product_id: product.id, quantity: 3 }] };
  const key = randomUUID();
  order = is(await shop.order(wanted, key), 201).json;
  equal(order.total_cents, 3 * product.price_cents, "the total");
  // The same again is the same order, as after an answer that got lost.
  equal(is(await shop.order(wanted, key), 201).json.id, order.id, "the order of a repeated request");
  return `${order.total_cents} cents`;
});

await checks.that("the order can be seen", async () => {
  const seen = is(await shop.get(`/api/orders/orders/${order.id}`), 200).json;
  equal(JSON.stringify(seen), JSON.stringify(order), "the order");
});

await checks.that("both are among the customer's orders", async () => {
  const { orders } = is(await shop.get(`/api/orders/orders?customer=${encodeURIComponent(customer)}`), 200).json;
  equal(orders.length, 2, "the number of orders");
  const { text } = is(await shop.get(`/orders?customer=${encodeURIComponent(customer)}`), 200);
  equal(text.match(/href="\/orders\/[0-9a-f-]{36}"/g)?.length, 2, "the number of orders on the page");
});

await checks.that("another price than the catalogue's is refused", async () => {
  const item = { product_id: product.id, quantity: 1, unit_price_cents: product.price_cents + 1 };
  const { json } = is(await shop.order({ customer, items: [item] }), 422);
  return json.errors[0].message;
});

await checks.that("what does not exist is not found", async () => {
  is(await shop.get("/products/999999"), 404);
  is(await shop.get(`/api/orders/orders/${randomUUID()}`), 404);
});

checks.end("Visit");
