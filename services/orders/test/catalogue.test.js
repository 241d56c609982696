import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createDatabase, startProducts, startService } from './helper.js';

const PRODUCTS = {
  1: { name: 'Blue mug', price_cents: 1450, currency: 'EUR' },
  2: { name: 'Oak bowl', price_cents: 3900, currency: 'EUR' },
  3: { name: 'Bell', price_cents: 900, currency: 'JPY' },
};
const answerFromTable = (path) => {
  const product = PRODUCTS[path.split('/').at(-1)];
  return product ? [200, product] : [404, {}];
};

let database;
let products;
let service;
let impatient;
let answer = answerFromTable;
before(async () => {
  database = await createDatabase();
  products = await startProducts((path) => answer(path));
  const start = (milliseconds) =>
    startService(database.url, { PRODUCTS_URL: `${products.url}/`, PRODUCTS_MILLISECONDS_MAX: milliseconds });
  // Only where the catalogue is not to answer may the time run out: elsewhere a slow machine is no failure.
  service = await start('60000');
  impatient = await start('200');
});
after(async () => {
  await service?.stop();
  await impatient?.stop();
  products?.stop();
  await database?.drop();
});

const order = (...items) => ({ customer: 'ada@example.org', items });
const errorsOf = ({ status, body }) => {
  assert.equal(status, 422);
  return body.errors.map(({ field, message }) => `${field} ${message}`);
};

describe('with a catalogue', () => {
  it('takes names and prices from there', async () => {
    const made = await service.post('/orders', order({ product_id: 1, quantity: 2 }, { product_id: 2, quantity: 1 }));
    assert.equal(made.status, 201);
    assert.equal(made.body.total_cents, 2 * 1450 + 3900);
    assert.deepEqual(made.body.items[1], { product_id: 2, name: 'Oak bowl', quantity: 1, unit_price_cents: 3900 });
  });

  it('asks once for each product, under the id of the request', async () => {
    products.requests.length = 0;
    const twice = [{ product_id: 1, quantity: 1 }, { product_id: 1, quantity: 3 }];
    await service.post('/orders', order(...twice), { 'x-request-id': 'r-7' });
    assert.deepEqual(products.requests.map((r) => [r.path, r.headers['x-request-id']]), [['/products/1', 'r-7']]);
  });

  it('refuses what is not there, costs something else, or has another currency', async () => {
    const unknown = await service.post('/orders', order({ product_id: 9, quantity: 1 }));
    assert.deepEqual(errorsOf(unknown), ['items.0.product_id there is no product 9']);
    const dearer = await service.post('/orders', order({ product_id: 1, quantity: 1, unit_price_cents: 1 }));
    assert.deepEqual(errorsOf(dearer), ['items.0.unit_price_cents the price is now 1450']);
    const mixed = await service.post('/orders', order({ product_id: 1, quantity: 1 }, { product_id: 3, quantity: 1 }));
    assert.deepEqual(errorsOf(mixed), ['items must have one currency']);
    const named = await service.post('/orders', order({ product_id: 1, quantity: 1, name: 'Mine' }));
    assert.deepEqual(errorsOf(named), ['items.0.name comes from the catalogue']);
  });

  for (const [what, failing] of [
    ['fails', () => [500, {}]],
    ['does not answer', () => undefined],
    ['is no catalogue', () => [200, 'hello']],
  ]) {
    it(`answers 503 when it ${what}, and stores nothing`, async () => {
      const customer = `${randomUUID()}@example.org`;
      answer = failing;
      const refused = await impatient.post('/orders', { customer, items: [{ product_id: 1, quantity: 1 }] });
      answer = answerFromTable;
      assert.equal(refused.status, 503);
      assert.equal(refused.body.detail, 'the catalogue cannot be reached');
      assert.equal((await service.get(`/orders?customer=${customer}`)).body.orders.length, 0);
    });
  }

  it('answers a repetition without it, at the old price', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const first = await service.post('/orders', order({ product_id: 1, quantity: 1 }), key);
    answer = () => [500, {}];
    const second = await service.post('/orders', order({ product_id: 1, quantity: 1 }), key);
    answer = answerFromTable;
    assert.deepEqual(second.body, first.body);
  });
});
