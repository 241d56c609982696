// The frontend on a free port, in front of two stand-ins that answer what a test tells them to.
import { Buffer } from 'node:buffer';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createApp } from '../src/app.js';
import { configFrom } from '../src/config.js';
import { createFlags } from '../src/flags.js';
import { createLog } from '../src/observe.js';
import { listen } from '../src/server.js';

export const MUG = {
  id: 1,
  sku: 'MUG-BLUE',
  name: 'Blue mug',
  description: 'Stoneware.',
  price_cents: 1450,
  currency: 'EUR',
  stock: 40,
};

export const ORDER = {
  id: '0b1e5a52-6f0f-4a8e-9d5c-1c2f3a4b5c6d',
  customer: 'ada@example.org',
  currency: 'EUR',
  total_cents: 2900,
  created_at: '2026-03-04T23:30:00.000Z',
  items: [{ product_id: 1, name: 'Blue mug', quantity: 2, unit_price_cents: 1450 }],
};

// A log that keeps its lines.
export function keptLog() {
  const lines = [];
  return Object.assign(createLog({ write: (line) => lines.push(JSON.parse(line)) }), { lines });
}

// `routes` is a table from 'GET /path' (without the query) to `[status, body]`; `requests` keeps what was asked.
async function startUpstream(routes) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const url = new URL(request.url, 'http://x');
    requests.push({
      route: `${request.method} ${url.pathname}`,
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
      body: chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : undefined,
    });
    const answer = routes[requests.at(-1).route] ?? [404, { detail: 'there is no such thing' }];
    if (answer === 'silence') return;
    response.writeHead(answer[0], { 'content-type': 'application/json' });
    response.end(typeof answer[1] === 'string' ? answer[1] : JSON.stringify(answer[1]));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { requests, url: `http://127.0.0.1:${server.address().port}`, stop: () => stop(server) };
}

function stop(server) {
  server.close();
  server.closeAllConnections();
}

// `{get, post, products, orders, flags, log, stop}`. `products` and `orders` are tables of routes, or null: nobody listens.
export async function startShop({ products = {}, orders = {}, flagsFile } = {}) {
  const upstreams = {
    products: products && (await startUpstream(products)),
    orders: orders && (await startUpstream(orders)),
  };
  const config = configFrom({
    PRODUCTS_URL: upstreams.products ? `${upstreams.products.url}/` : 'http://127.0.0.1:1',
    ORDERS_URL: upstreams.orders?.url ?? 'http://127.0.0.1:1',
    HOST: '127.0.0.1',
    PORT: '0',
    GIT_SHA: '0123abc',
    UPSTREAM_MILLISECONDS_MAX: '200',
    FLAGS_FILE: flagsFile,
    FLAGS_POLL_MILLISECONDS: '20',
  });
  const log = keptLog();
  const flags = await createFlags({ ...config, log });
  const server = await listen(createApp({ config, flags, log }), config);
  const call = async (path, options) => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { redirect: 'manual', ...options });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  return {
    lines: log.lines,
    products: upstreams.products?.requests,
    orders: upstreams.orders?.requests,
    flags,
    get: (path, headers = {}) => call(path, { headers }),
    post: (path, form) => call(path, { method: 'POST', body: new URLSearchParams(form) }),
    stop() {
      stop(server);
      flags.close();
      upstreams.products?.stop();
      upstreams.orders?.stop();
    },
  };
}

// Starts a shop, and stops it after `work(shop)`.
export async function withShop(upstreams, work) {
  const shop = await startShop(upstreams);
  try {
    await work(shop);
  } finally {
    shop.stop();
  }
}
