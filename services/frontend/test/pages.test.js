import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MUG, ORDER, withShop } from './helper.js';

const HOSTILE = '<img src=x onerror=alert(1)>';

describe('the product list', () => {
  it('shows what the catalogue has, and the way on', () =>
    withShop({ products: { 'GET /products': [200, { products: [MUG], next: 1 }] } }, async (shop) => {
      const { status, text, headers } = await shop.get('/?q=mug&after=0');
      assert.equal(status, 200);
      assert.match(headers.get('content-type'), /text\/html/);
      assert.match(text, /<a href="\/products\/1">Blue mug<\/a>/);
      assert.match(text, /€14\.50/);
      assert.match(text, /href="\/\?after=1&amp;q=mug"/);
      assert.deepEqual(shop.products[0].query, { limit: '12', q: 'mug', after: '0' });
    }));

  it('says that nothing was found, and escapes what was searched', () =>
    withShop({ products: { 'GET /products': [200, { products: [], next: null }] } }, async (shop) => {
      const { text } = await shop.get(`/?q=${encodeURIComponent(HOSTILE)}`);
      assert.match(text, /Nothing found/);
      assert.doesNotMatch(text, /<img/);
      assert.doesNotMatch(text, /More products/);
    }));

  it('takes odd queries as none', () =>
    withShop({ products: { 'GET /products': [200, { products: [], next: null }] } }, async (shop) => {
      await shop.get('/?q=a&q=b&after=x');
      assert.deepEqual(shop.products[0].query, { limit: '12', q: '' });
    }));
});

describe('a product', () => {
  it('has a form with a key of its own and the price that was shown', () =>
    withShop({ products: { 'GET /products/1': [200, MUG] } }, async (shop) => {
      const keys = new Set();
      for (let count = 0; count < 2; count += 1) {
        const { text } = await shop.get('/products/1');
        assert.match(text, /name="price_cents" value="1450"/);
        keys.add(text.match(/name="key" value="([0-9a-f-]{36})"/)[1]);
      }
      assert.equal(keys.size, 2);
    }));

  it('with hostile text does no harm', () =>
    withShop({ products: { 'GET /products/1': [200, { ...MUG, name: HOSTILE, description: HOSTILE }] } }, async (shop) => {
      const { text } = await shop.get('/products/1');
      assert.doesNotMatch(text, /<img/);
      assert.match(text, /&lt;img/);
    }));

  for (const status of [404, 422]) {
    it(`that the catalogue answers ${status} for is not found`, () =>
      withShop({ products: { 'GET /products/x': [status, {}] } }, async (shop) => {
        const answer = await shop.get('/products/x');
        assert.equal(answer.status, 404);
        assert.match(answer.text, /no such product/);
      }));
  }
});

describe('with flags', () => {
  const products = { 'GET /products/1': [200, MUG] };
  const flag = (on) => ({ state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: on ? 'on' : 'off' });

  async function withFlags(flags, work) {
    const folder = await mkdtemp(join(tmpdir(), 'frontend-flags-'));
    const flagsFile = join(folder, 'flags.json');
    await writeFile(flagsFile, JSON.stringify({ flags }));
    await withShop({ products, flagsFile }, (shop) => work(shop, flagsFile));
    await rm(folder, { recursive: true });
  }

  it('the checkout has one step, and two once the flag is switched', () =>
    withFlags({ 'new-checkout': flag(false) }, async (shop, flagsFile) => {
      assert.match((await shop.get('/products/1')).text, /Place the order/);
      assert.equal((await shop.get('/products/1/checkout?quantity=2')).headers.get('location'), '/products/1');
      const switched = new Promise((resolve) => shop.flags.client.addHandler('PROVIDER_CONFIGURATION_CHANGED', resolve));
      await writeFile(`${flagsFile}.new`, JSON.stringify({ flags: { 'new-checkout': flag(true) } }));
      await rename(`${flagsFile}.new`, flagsFile);
      await switched;
      const { text } = await shop.get('/products/1');
      assert.match(text, /<form action="\/products\/1\/checkout">/);
      assert.doesNotMatch(text, /Place the order|name="customer"/);
      const checkout = await shop.get('/products/1/checkout?quantity=2');
      assert.match(checkout.text, /Order and pay €29\.00/);
      assert.match(checkout.text, /name="price_cents" value="1450"/);
      assert.match(checkout.text, /name="quantity" value="2"/);
      assert.match(checkout.text, /name="key" value="[0-9a-f-]{36}"/);
    }));

  for (const quantity of ['', '0', '1001', '1.5', 'many']) {
    it(`a checkout of ${quantity || 'nothing'} leads back`, () =>
      withFlags({ 'new-checkout': flag(true) }, async (shop) => {
        const { status, text } = await shop.get(`/products/1/checkout?quantity=${quantity}`);
        assert.equal(status, 422);
        assert.match(text, /How many: must be a whole number, 1 to 1000/);
      }));
  }

  it('a shop that is closed has nothing to order with', () =>
    withFlags({ 'take-orders': flag(false) }, async (shop) => {
      const { status, text } = await shop.get('/products/1');
      assert.equal(status, 200);
      assert.match(text, /We take no orders for the moment/);
      assert.doesNotMatch(text, /<button>(Place|To the)/);
    }));
});

describe('ordering', () => {
  const form = { customer: ' ada@example.org ', quantity: '2', price_cents: '1450', key: 'k-1' };

  it('sends the order with its key and leads to it', () =>
    withShop({ orders: { 'POST /orders': [201, ORDER] } }, async (shop) => {
      const answer = await shop.post('/products/1/order', form);
      assert.equal(answer.status, 303);
      assert.equal(answer.headers.get('location'), `/orders/${ORDER.id}`);
      const [{ body, headers }] = shop.orders;
      assert.equal(headers['idempotency-key'], 'k-1');
      assert.equal(headers['x-request-id'], answer.headers.get('x-request-id'));
      assert.deepEqual(body, {
        customer: 'ada@example.org',
        items: [{ product_id: 1, quantity: 2, unit_price_cents: 1450 }],
      });
    }));

  it('shows the form again with what was wrong, and what the visitor wrote', () => {
    const errors = [
      { field: 'customer', message: 'must be an e-mail address' },
      { field: 'items.0.unit_price_cents', message: 'the price is now 1500' },
      { field: 'items.0.other', message: 'is odd' },
    ];
    const upstreams = {
      products: { 'GET /products/1': [200, MUG] },
      orders: { 'POST /orders': [422, { detail: 'not valid', errors }] },
    };
    return withShop(upstreams, async (shop) => {
      const { status, text } = await shop.post('/products/1/order', { ...form, customer: HOSTILE });
      assert.equal(status, 422);
      assert.match(text, /Your e-mail address: must be an e-mail address/);
      assert.match(text, /The price has changed/);
      assert.match(text, /other: is odd/);
      assert.match(text, /value="&lt;img src=x/);
      assert.doesNotMatch(text, /value="k-1"/);
    });
  });

  it('shows a refusal that names no field', () => {
    const upstreams = {
      products: { 'GET /products/1': [200, MUG] },
      orders: { 'POST /orders': [400, { detail: 'Idempotency-Key must be short' }] },
    };
    return withShop(upstreams, async (shop) => {
      assert.match((await shop.post('/products/1/order', {})).text, /Idempotency-Key must be short/);
    });
  });

  it('takes no huge forms', () =>
    withShop({}, async (shop) => {
      assert.equal((await shop.post('/products/1/order', { customer: 'x'.repeat(10_000) })).status, 413);
    }));
});

describe('orders', () => {
  it('are shown one by one', () =>
    withShop({ orders: { [`GET /orders/${ORDER.id}`]: [200, ORDER] } }, async (shop) => {
      const { status, text } = await shop.get(`/orders/${ORDER.id}`);
      assert.equal(status, 200);
      assert.match(text, /March 4, 2026/);
      assert.match(text, /<td>2<\/td><td>€29\.00<\/td>/);
      assert.match(text, /customer=ada%40example\.org/);
    }));

  it('that do not exist are not found', () =>
    withShop({}, async (shop) => {
      assert.equal((await shop.get('/orders/nothing')).status, 404);
    }));

  it('ask for an address first', () =>
    withShop({}, async (shop) => {
      assert.equal((await shop.get('/orders')).status, 200);
      assert.deepEqual(shop.orders, []);
    }));

  it('are listed for an address, page by page', () =>
    withShop({ orders: { 'GET /orders': [200, { orders: [ORDER], next: 7 }] } }, async (shop) => {
      const { text } = await shop.get('/orders?customer=ada@example.org&before=9');
      assert.match(text, /2 × Blue mug, €29\.00/);
      assert.match(text, /before=7/);
      assert.deepEqual(shop.orders[0].query, { customer: 'ada@example.org', limit: '20', before: '9' });
    }));

  it('may be none', () =>
    withShop({ orders: { 'GET /orders': [200, { orders: [], next: null }] } }, async (shop) => {
      assert.match((await shop.get('/orders?customer=bob@example.org')).text, /no orders for bob@example.org/);
    }));
});
