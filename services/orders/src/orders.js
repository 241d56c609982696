// Orders in the database. An idempotency key belongs to one order for ever.
import { createHash } from 'node:crypto';
import { inTransaction, withClient } from './database.js';
import { Problem } from './problem.js';

const COLUMNS = `
  o.id, o.number, o.customer, o.currency, o.total_cents, o.created_at, o.fingerprint,
  (SELECT json_agg(json_build_object('product_id', i.product_id, 'name', i.name, 'quantity', i.quantity,
                                     'unit_price_cents', i.unit_price_cents) ORDER BY i.position)
   FROM order_items i WHERE i.order_id = o.id) AS items`;

export function fingerprint(order) {
  return createHash('sha256').update(JSON.stringify(order)).digest('hex');
}

// The order that this key made before, or null. The same key for something else is the caller's mistake.
export function findByKey(pool, key, print) {
  return withClient(pool, async (client) => {
    const { rows } = await client.query(`SELECT ${COLUMNS} FROM orders o WHERE o.idempotency_key = $1`, [key]);
    if (rows.length === 0) return null;
    if (rows[0].fingerprint !== print) {
      throw new Problem(422, 'this Idempotency-Key was used for another order');
    }
    return view(rows[0]);
  });
}

// Stores an order. Null when a request with the same key was faster: the unique index makes the slower one wait for
// the faster one's end, so that there is something to find afterwards.
export function insert(pool, { customer, currency, items, key, print }) {
  const total = items.reduce((sum, item) => sum + item.quantity * item.unit_price_cents, 0);
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query(
      `INSERT INTO orders (customer, currency, total_cents, idempotency_key, fingerprint) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (idempotency_key) DO NOTHING RETURNING id`,
      [customer, currency, total, key, print],
    );
    if (rows.length === 0) return null;
    await client.query(
      `INSERT INTO order_items (order_id, position, product_id, name, quantity, unit_price_cents)
       SELECT $1, row_number() OVER (), * FROM unnest($2::int[], $3::text[], $4::int[], $5::int[])`,
      [
        rows[0].id,
        items.map((item) => item.product_id),
        items.map((item) => item.name),
        items.map((item) => item.quantity),
        items.map((item) => item.unit_price_cents),
      ],
    );
    return one(client, rows[0].id);
  });
}

export function read(pool, id) {
  return withClient(pool, (client) => one(client, id));
}

// Newest first: `{orders, next}`, with `next` to be passed as `before`, null on the last page.
export function list(pool, { limit, before, customer }) {
  return withClient(pool, async (client) => {
    const { rows } = await client.query(
      `SELECT ${COLUMNS} FROM orders o WHERE o.number < $1 AND ($2::text IS NULL OR o.customer = $2)
       ORDER BY o.number DESC LIMIT $3`,
      [before, customer ?? null, limit + 1],
    );
    const shown = rows.slice(0, limit);
    return { orders: shown.map(view), next: rows.length > limit ? Number(shown.at(-1).number) : null };
  });
}

async function one(client, id) {
  const { rows } = await client.query(`SELECT ${COLUMNS} FROM orders o WHERE o.id = $1`, [id]);
  if (rows.length === 0) throw new Problem(404, `there is no order ${id}`);
  return view(rows[0]);
}

const view = ({ id, customer, currency, total_cents, created_at, items }) => ({
  id,
  customer,
  currency,
  total_cents: Number(total_cents),
  created_at,
  items,
});
