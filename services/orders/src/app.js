// The HTTP API.
import express from 'express';
import { createCatalogue } from './catalogue.js';
import { withClient } from './database.js';
import { createMetrics, observe } from './observe.js';
import * as orders from './orders.js';
import { answerProblem, Problem } from './problem.js';
import * as validate from './validate.js';

const CURRENCY_WITHOUT_CATALOGUE = 'EUR';
const CLOSED_RETRY_SECONDS = '60';

export function createApp({ config, pool, flags, log }) {
  const app = express();
  const metrics = createMetrics();
  const catalogue = createCatalogue(config);
  app.disable('x-powered-by');
  app.use(observe({ log, metrics, version: config.version }));
  addProbes(app, { config, pool, metrics });
  app.use(express.json({ limit: '64kb' }));

  app.post('/orders', async (request, response) => {
    const key = validate.idempotencyKey(request.get('idempotency-key'));
    const wanted = validate.newOrder(request.body, { catalogue: catalogue !== null });
    // A key that is known answers with its order before anything else is asked: a retry must not fail, or cost more,
    // because a price changed or orders are no longer taken.
    const before = key && (await orders.findByKey(pool, key, orders.fingerprint(wanted)));
    if (!before && !(await flags.isOn('take-orders', true, { targetingKey: wanted.customer, customer: wanted.customer }))) {
      throw new Problem(503, 'no orders are taken for the moment', { headers: { 'Retry-After': CLOSED_RETRY_SECONDS } });
    }
    const { order, replayed } = before
      ? { order: before, replayed: true }
      : await place({ pool, catalogue, wanted, key, requestId: request.id });
    if (replayed) response.set('Idempotent-Replayed', 'true');
    response.status(201).location(`/orders/${order.id}`).json(order);
  });

  app.get('/orders', async (request, response) => {
    response.json(await orders.list(pool, validate.page(request.query)));
  });

  app.get('/orders/:id', async (request, response) => {
    response.json(await orders.read(pool, validate.orderId(request.params.id)));
  });

  app.use((request) => {
    throw new Problem(404, `there is no ${request.method} ${request.path}`);
  });
  app.use(answerProblem);
  return app;
}

function addProbes(app, { config, pool, metrics }) {
  app.get('/health', (_request, response) => {
    response.json({ status: 'ok', service: 'orders', version: config.version });
  });
  // Ready means: the database answers. The catalogue is not asked: while it is away, orders can still be read.
  app.get('/ready', async (_request, response) => {
    await withClient(pool, (client) => client.query('SELECT 1'));
    response.json({ status: 'ready' });
  });
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
}

async function place({ pool, catalogue, wanted, key, requestId }) {
  const print = orders.fingerprint(wanted);
  const priced = catalogue
    ? await catalogue.price(wanted.items, requestId)
    : { currency: CURRENCY_WITHOUT_CATALOGUE, items: wanted.items };
  const order = await orders.insert(pool, { customer: wanted.customer, ...priced, key, print });
  return order ? { order, replayed: false } : { order: await orders.findByKey(pool, key, print), replayed: true };
}
