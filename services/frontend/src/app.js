// The routes: from a visitor's request to what the two services behind say, to a page.
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { createMetrics, observe } from './observe.js';
import * as pages from './pages.js';
import { Away, createUpstream } from './upstream.js';

const PUBLIC = fileURLToPath(new URL('../public', import.meta.url));
const PAGE_PRODUCTS = '12';
const PAGE_ORDERS = '20';
const QUANTITY_MAX = 1_000;
// Pages hold visitors' words, and no scripts: so no script may run on them, whatever else goes wrong.
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
};
const RETRY_SECONDS = '10';

// An answer to the visitor other than the page that was asked for.
class Refusal extends Error {
  constructor(status, title, text) {
    super(text);
    this.status = status;
    this.title = title;
  }
}

export function createApp({ config, flags, log }) {
  const app = express();
  const metrics = createMetrics();
  const products = createUpstream('products', config.productsUrl, config.upstreamMillisecondsMax);
  const orders = createUpstream('orders', config.ordersUrl, config.upstreamMillisecondsMax);
  app.disable('x-powered-by');
  app.use(observe({ log, metrics, version: config.version }));
  app.use((_request, response, next) => {
    response.set(HEADERS);
    next();
  });
  addProbes(app, { config, metrics, upstreams: [products, orders] });
  app.use(express.static(PUBLIC, { maxAge: '1h', index: false }));
  addProducts(app, { products, orders, flags });
  addOrders(app, { orders });
  app.use(() => {
    throw new Refusal(404, 'Not found', 'There is no such page.');
  });
  app.use(answerError);
  return app;
}

function addProbes(app, { config, metrics, upstreams }) {
  app.get('/health', (_request, response) => {
    response.json({ status: 'ok', service: 'frontend', version: config.version });
  });
  // Ready means: at least one service behind is there, since then some pages are worth showing. The answer says which.
  app.get('/ready', async (request, response) => {
    const states = await Promise.all(upstreams.map((upstream) => upstream.isReady(request.id)));
    const away = upstreams.filter((_, index) => !states[index]).map((upstream) => upstream.service);
    const status = ['ready', 'degraded', 'not ready'][away.length];
    response.status(away.length < upstreams.length ? 200 : 503).json({ status, away });
  });
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
}

function addProducts(app, { products, orders, flags }) {
  const show = async (request, product, more = {}) => {
    const context = { targetingKey: request.id, product_id: product.id };
    const [twoSteps, open] = await Promise.all([
      flags.isOn('new-checkout', false, context),
      flags.isOn('take-orders', true, context),
    ]);
    return pages.productPage({ product, key: randomUUID(), twoSteps, open, ...more });
  };

  app.get('/', async (request, response) => {
    const q = text(request.query.q).trim().slice(0, 100);
    const query = new URLSearchParams({ limit: PAGE_PRODUCTS, q });
    if (/^\d{1,9}$/.test(text(request.query.after))) query.set('after', request.query.after);
    const { body } = expectOk(products, await products.get(`/products?${query}`, request.id));
    send(response, pages.productList({ ...body, q }));
  });

  app.get('/products/:id', async (request, response) => {
    send(response, await show(request, await readProduct(products, request)));
  });

  // The second step, with the sum that is to be paid. Who comes here while there is but one step is sent back to that.
  app.get('/products/:id/checkout', async (request, response) => {
    const product = await readProduct(products, request);
    const quantity = Number(text(request.query.quantity));
    if (!Number.isInteger(quantity) || quantity < 1 || quantity > QUANTITY_MAX) {
      const errors = [`How many: must be a whole number, 1 to ${QUANTITY_MAX}`];
      send(response.status(422), await show(request, product, { form: request.query, errors }));
    } else if (await flags.isOn('new-checkout', false, { targetingKey: request.id, product_id: product.id })) {
      send(response, pages.checkoutPage({ product, quantity, key: randomUUID() }));
    } else {
      response.redirect(303, `/products/${product.id}`);
    }
  });

  app.post('/products/:id/order', express.urlencoded({ extended: false, limit: '8kb' }), async (request, response) => {
    const form = request.body ?? {};
    const key = text(form.key);
    const order = {
      customer: text(form.customer).trim(),
      items: [{ product_id: Number(request.params.id), quantity: Number(form.quantity), unit_price_cents: Number(form.price_cents) }],
    };
    const headers = key && { 'idempotency-key': key };
    const { status, body } = await orders.post('/orders', order, headers, request.id);
    if (status === 201) {
      response.redirect(303, `/orders/${encodeURIComponent(body.id)}`);
      return;
    }
    // Shown again with what was wrong. Another key, as this may become another order.
    const product = await readProduct(products, request);
    const errors = body.errors?.map((error) => forVisitor(error)) ?? [body.detail];
    send(response.status(422), await show(request, product, { form, errors }));
  });
}

function addOrders(app, { orders }) {
  app.get('/orders', async (request, response) => {
    const customer = text(request.query.customer).trim();
    if (!customer) {
      send(response, pages.orderList({ customer, orders: [], next: null }));
      return;
    }
    const query = new URLSearchParams({ customer, limit: PAGE_ORDERS });
    if (/^\d{1,16}$/.test(text(request.query.before))) query.set('before', request.query.before);
    const { body } = expectOk(orders, await orders.get(`/orders?${query}`, request.id));
    send(response, pages.orderList({ ...body, customer }));
  });

  app.get('/orders/:id', async (request, response) => {
    const { status, body } = await orders.get(`/orders/${encodeURIComponent(request.params.id)}`, request.id);
    if (status === 404) throw new Refusal(404, 'Not found', 'There is no such order.');
    send(response, pages.orderPage(expectOk(orders, { status, body }).body));
  });
}

async function readProduct(products, request) {
  const { status, body } = await products.get(`/products/${encodeURIComponent(request.params.id)}`, request.id);
  // 422: what stands in the address is no product id at all.
  if (status === 404 || status === 422) throw new Refusal(404, 'Not found', 'There is no such product.');
  return expectOk(products, { status, body }).body;
}

// Other than 200 for a question that we phrased ourselves is as good as no answer.
function expectOk(upstream, answer) {
  if (answer.status !== 200) throw new Away(upstream.service, new Error(`answered ${answer.status}`));
  return answer;
}

const FIELDS = { customer: 'Your e-mail address', quantity: 'How many', unit_price_cents: 'Price', product_id: 'Product' };

function forVisitor({ field, message }) {
  const name = field.split('.').at(-1);
  if (name === 'unit_price_cents') return 'The price has changed since you opened this page. Please look again.';
  return `${FIELDS[name] ?? name}: ${message}`;
}

// A query or form value that is given twice is an array; it counts as not given.
const text = (value) => (typeof value === 'string' ? value : '');

function send(response, page) {
  response.set('Cache-Control', 'no-store').type('html').send(String(page));
}

// Express knows an error handler by its four parameters.
function answerError(error, request, response, next) {
  if (response.headersSent) {
    next(error);
  } else if (error instanceof Away) {
    request.log.error({ upstream: error.service, cause: error.cause.message }, error.message);
    send(response.status(503).set('Retry-After', RETRY_SECONDS), pages.awayPage(error.service, request.id));
  } else {
    const known = error instanceof Refusal || (error.status >= 400 && error.status < 500);
    if (!known) request.log.error({ error: error.stack }, error.message);
    const { status, title, message } = known ? error : { status: 500, message: 'Something went wrong here.' };
    send(response.status(status), pages.errorPage({ title: title ?? 'Sorry', text: message, requestId: request.id }));
  }
}
