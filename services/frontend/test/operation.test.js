// What operators rely on: probes, headers, metrics, logs, pages while a service behind is down, a clean stop.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { configFrom } from '../src/config.js';
import { MUG, withShop } from './helper.js';

const READY = { 'GET /ready': [200, { status: 'ready' }] };

describe('while a service behind is away', () => {
  for (const [what, away] of [
    ['is down', null],
    ['fails', { 'GET /products': [500, {}] }],
    ['is slow', { 'GET /products': 'silence' }],
    ['is something else', { 'GET /products': [200, '<html>'] }],
    ['refuses what we ask', { 'GET /products': [403, {}] }],
  ]) {
    it(`because it ${what}, the page says so and how to go on`, () =>
      withShop({ products: away }, async (shop) => {
        const { status, headers, text } = await shop.get('/', { 'x-request-id': 'r-9' });
        assert.equal(status, 503);
        assert.equal(headers.get('retry-after'), '10');
        assert.match(text, /cannot show our products for the moment/);
        assert.match(text, /r-9/);
        assert.ok(shop.lines.some((line) => line.level === 'error' && line.upstream === 'products'));
      }));
  }

  it('the other one’s pages still work', () =>
    withShop({ orders: null, products: { 'GET /products/1': [200, MUG] } }, async (shop) => {
      assert.equal((await shop.get('/products/1')).status, 200);
      const answer = await shop.post('/products/1/order', { quantity: '1' });
      assert.equal(answer.status, 503);
      assert.match(answer.text, /it will not be ordered twice/);
    }));
});

describe('probes', () => {
  it('are alive whatever is behind', () =>
    withShop({ products: null, orders: null }, async (shop) => {
      const { status, text } = await shop.get('/health');
      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(text), { status: 'ok', service: 'frontend', version: '0123abc' });
    }));

  for (const [upstreams, status, body] of [
    [{ products: READY, orders: READY }, 200, { status: 'ready', away: [] }],
    [{ products: READY, orders: null }, 200, { status: 'degraded', away: ['orders'] }],
    [{ products: { 'GET /ready': [503, {}] }, orders: READY }, 200, { status: 'degraded', away: ['products'] }],
    [{ products: null, orders: null }, 503, { status: 'not ready', away: ['products', 'orders'] }],
  ]) {
    it(`are ${body.status} without: ${body.away.join(', ') || 'nothing'}`, () =>
      withShop(upstreams, async (shop) => {
        const answer = await shop.get('/ready');
        assert.equal(answer.status, status);
        assert.deepEqual(JSON.parse(answer.text), body);
      }));
  }
});

describe('every answer', () => {
  it('has version, request id and no way for scripts', () =>
    withShop({}, async (shop) => {
      for (const path of ['/', '/orders', '/nowhere', '/style.css']) {
        const { headers } = await shop.get(path, { 'x-request-id': 'abc-1' });
        assert.equal(headers.get('x-version'), '0123abc');
        assert.equal(headers.get('x-request-id'), 'abc-1');
        assert.match(headers.get('content-security-policy'), /default-src 'none'/);
        assert.equal(headers.get('x-powered-by'), null);
      }
    }));

  it('has an id of our own when the caller’s is not one', () =>
    withShop({}, async (shop) => {
      assert.match((await shop.get('/health', { 'x-request-id': 'a b' })).headers.get('x-request-id'), /^[0-9a-f-]{36}$/);
    }));

  it('is counted by route and logged as one line', () =>
    withShop({}, async (shop) => {
      await shop.get('/products/1');
      await shop.get('/no/such/page');
      const { text } = await shop.get('/metrics');
      assert.match(text, /http_requests_total\{method="GET",route="\/products\/:id",status="404"\} 1/);
      assert.match(text, /route="unmatched",status="404"/);
      assert.deepEqual(
        shop.lines.filter((line) => line.message === 'request').map(({ path, status }) => `${path} ${status}`),
        ['/products/1 404', '/no/such/page 404'],
      );
    }));

  it('to a bad address is an error page', () =>
    withShop({}, async (shop) => {
      const { status, text } = await shop.get('/products/%E0%A4%A');
      assert.equal(status, 400);
      assert.match(text, /Reference/);
    }));

  it('says nothing of what went wrong inside, and the log does', () =>
    withShop({ products: { 'GET /products/1': [200, { ...MUG, currency: 'none at all' }] } }, async (shop) => {
      const { status, text } = await shop.get('/products/1');
      assert.equal(status, 500);
      assert.match(text, /Something went wrong here/);
      assert.doesNotMatch(text, /RangeError/);
      assert.ok(shop.lines.some((line) => /RangeError/.test(line.error)));
    }));
});

describe('settings', () => {
  it('come from the environment, or are those of a network of containers', () => {
    assert.equal(configFrom({ ORDERS_URL: 'http://o/' }).ordersUrl, 'http://o');
    assert.equal(configFrom({}).productsUrl, 'http://products:8080');
    assert.equal(configFrom({}).version, 'unknown');
    assert.throws(() => configFrom({ PORT: 'http' }), /PORT must be a whole number, not http/);
  });
});

describe('the program', () => {
  it('stops on SIGTERM', { timeout: 10_000 }, async () => {
    const program = spawn(process.execPath, ['src/main.js'], {
      env: { ...process.env, HOST: '127.0.0.1', PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(program, 'exit');
    const messages = [];
    for await (const line of createInterface({ input: program.stdout })) {
      const { message, port } = JSON.parse(line);
      messages.push(message);
      if (message === 'started') {
        await fetch(`http://127.0.0.1:${port}/health`).then((answer) => answer.text());
        program.kill('SIGTERM');
      }
    }
    assert.deepEqual(await exited, [0, null]);
    assert.deepEqual(messages, ['started', 'stopping', 'stopped']);
  });
});
