import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createDatabase, startService } from './helper.js';

let database;
let service;
before(async () => {
  database = await createDatabase();
  service = await startService(database.url);
});
after(async () => {
  await service?.stop();
  await database?.drop();
});

const item = (changes = {}) => ({ product_id: 1, name: 'Mug', quantity: 2, unit_price_cents: 1450, ...changes });
const order = (changes = {}) => ({ customer: 'ada@example.org', items: [item()], ...changes });

describe('creating an order', () => {
  it('stores it whole', async () => {
    const wanted = order({ items: [item(), item({ product_id: 2, name: 'Böwl', quantity: 1, unit_price_cents: 0 })] });
    const answer = await service.post('/orders', wanted);
    assert.equal(answer.status, 201);
    const { id, created_at, ...rest } = answer.body;
    assert.deepEqual(rest, { ...wanted, currency: 'EUR', total_cents: 2900 });
    assert.ok(Math.abs(Date.parse(created_at) - Date.now()) < 60_000);
    assert.equal(answer.headers.get('location'), `/orders/${id}`);
    assert.deepEqual((await service.get(`/orders/${id}`)).body, answer.body);
  });

  it('counts totals beyond 32 bits', async () => {
    const answer = await service.post('/orders', order({ items: [item({ quantity: 1000, unit_price_cents: 100_000_000 })] }));
    assert.equal(answer.body.total_cents, 100_000_000_000);
  });

  for (const [what, body, fields] of [
    ['no object', [], ['', 'customer', 'items']],
    ['nothing', {}, ['customer', 'items']],
    ['no address', order({ customer: 'ada' }), ['customer']],
    ['no items', order({ items: [] }), ['items']],
    ['too many items', order({ items: Array(51).fill(item()) }), ['items']],
    ['an item that is none', order({ items: [null] }), ['items.0']],
    ['no quantity', order({ items: [item(), item({ quantity: 0 })] }), ['items.1.quantity']],
    ['half a mug', order({ items: [item({ quantity: 0.5 })] }), ['items.0.quantity']],
    ['a product id as text', order({ items: [item({ product_id: '1' })] }), ['items.0.product_id']],
    ['a huge product id', order({ items: [item({ product_id: 2 ** 31 })] }), ['items.0.product_id']],
    ['no price', order({ items: [item({ unit_price_cents: undefined })] }), ['items.0.unit_price_cents']],
    ['no name', order({ items: [item({ name: '' })] }), ['items.0.name']],
    ['unknown fields', { ...order({ items: [item({ x: 1 })] }), y: 2 }, ['y', 'items.0.x']],
  ]) {
    it(`refuses ${what}, and names the field`, async () => {
      const answer = await service.post('/orders', body);
      assert.equal(answer.status, 422);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json; charset=utf-8');
      assert.deepEqual(answer.body.errors.map((error) => error.field), fields);
    });
  }

  for (const [what, body, status] of [
    ['broken JSON', '{"customer":', 400],
    ['a large body', JSON.stringify({ customer: 'x'.repeat(70_000) }), 413],
  ]) {
    it(`refuses ${what}`, async () => {
      const answer = await service.post('/orders', body);
      assert.equal(answer.status, status);
      assert.equal(answer.body.status, status);
    });
  }
});

describe('while no orders are taken', () => {
  const closed = { flags: { 'take-orders': { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' } } };

  it('new ones are refused, known ones answered, and the flag alone opens again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orders-flags-'));
    const path = join(folder, 'flags.json');
    await writeFile(path, JSON.stringify(closed));
    const known = await service.post('/orders', order(), { 'idempotency-key': 'before-closing' });
    const other = await startService(database.url, { FLAGS_FILE: path, FLAGS_POLL_MILLISECONDS: '10' });
    const refused = await other.post('/orders', order());
    assert.equal(refused.status, 503);
    assert.equal(refused.body.detail, 'no orders are taken for the moment');
    assert.equal(refused.headers.get('retry-after'), '60');
    const again = await other.post('/orders', order(), { 'idempotency-key': 'before-closing' });
    assert.equal(again.body.id, known.body.id);
    const opened = new Promise((resolve) => other.flags.client.addHandler('PROVIDER_CONFIGURATION_CHANGED', resolve));
    closed.flags['take-orders'].defaultVariant = 'on';
    await writeFile(`${path}.new`, JSON.stringify(closed));
    await rename(`${path}.new`, path);
    await opened;
    assert.equal((await other.post('/orders', order())).status, 201);
    await other.stop();
    await rm(folder, { recursive: true });
  });
});

describe('an idempotency key', () => {
  it('makes one order of a request and its repetition', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const first = await service.post('/orders', order(), key);
    const second = await service.post('/orders', order({ customer: 'ADA@example.org' }), key);
    assert.equal(first.headers.get('idempotent-replayed'), null);
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
    assert.equal(second.status, 201);
    assert.deepEqual(second.body, first.body);
  });

  it('makes one order of many requests at the same time', async () => {
    const customer = `${randomUUID()}@example.org`;
    const key = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all(Array.from({ length: 20 }, () => service.post('/orders', order({ customer }), key)));
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([201]));
    assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
    assert.equal(answers.filter((answer) => !answer.headers.has('idempotent-replayed')).length, 1);
    assert.equal((await service.get(`/orders?customer=${customer}`)).body.orders.length, 1);
  });

  it('is refused for another order', async () => {
    const key = { 'idempotency-key': randomUUID() };
    await service.post('/orders', order(), key);
    const answer = await service.post('/orders', order({ customer: 'bob@example.org' }), key);
    assert.equal(answer.status, 422);
    assert.match(answer.body.detail, /used for another order/);
  });

  it('left out, makes an order each time', async () => {
    const [first, second] = [await service.post('/orders', order()), await service.post('/orders', order())];
    assert.notEqual(first.body.id, second.body.id);
  });

  for (const bad of ['a b', 'x'.repeat(256)]) {
    it(`is refused when it is ${bad.length} characters with spaces or too long`, async () => {
      assert.equal((await service.post('/orders', order(), { 'idempotency-key': bad })).status, 400);
    });
  }
});

describe('reading orders', () => {
  it('lists a customer’s, newest first, page by page', async () => {
    const customer = `${randomUUID()}@example.org`;
    const made = [];
    for (let count = 0; count < 5; count += 1) {
      made.unshift((await service.post('/orders', order({ customer }))).body.id);
    }
    const seen = [];
    let next = '';
    while (next !== null) {
      const { body } = await service.get(`/orders?customer=${customer.toUpperCase()}&limit=2${next && `&before=${next}`}`);
      assert.ok(body.orders.length <= 2);
      seen.push(...body.orders.map(({ id }) => id));
      next = body.next;
    }
    assert.deepEqual(seen, made);
  });

  it('lists everyone’s', async () => {
    assert.ok((await service.get('/orders?limit=100')).body.orders.length > 5);
  });

  for (const [path, status] of [
    ['/orders/not-an-id', 404],
    [`/orders/${randomUUID()}`, 404],
    ['/orders?limit=0', 422],
    ['/orders?limit=101', 422],
    ['/orders?limit=x', 422],
    ['/orders?before=-1', 422],
    ['/orders?customer=a&customer=b', 422],
    ['/orders/%E0%A4%A', 400],
    ['/nowhere', 404],
  ]) {
    it(`answers ${status} to ${path.replace(/[0-9a-f-]{36}/, 'an unknown id')}`, async () => {
      const answer = await service.get(path);
      assert.equal(answer.status, status);
      assert.equal(answer.body.status, status);
    });
  }
});
