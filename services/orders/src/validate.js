// What callers send, checked whole: all mistakes at once, each with its field.
import { Problem } from './problem.js';

const ITEMS_MAX = 50;
const QUANTITY_MAX = 1_000;
const PRICE_CENTS_MAX = 100_000_000;
const ID_MAX = 2 ** 31 - 1;
const CUSTOMER = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
const CUSTOMER_CHARACTERS_MAX = 254;
const NAME_CHARACTERS_MAX = 200;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const PAGE_ORDERS_MAX = 100;

// `{customer, items: [{product_id, quantity, name?, unit_price_cents?}]}`. With a catalogue, names come from there and
// a price is what the caller expects to pay; without one, both are needed.
export function newOrder(body, { catalogue }) {
  const errors = [];
  const wrong = (field, message) => errors.push({ field, message });
  const { customer, items, ...unknown } = isObject(body) ? body : {};
  if (!isObject(body)) wrong('', 'must be a JSON object');
  for (const field of Object.keys(unknown)) wrong(field, 'is not known');
  if (typeof customer !== 'string' || customer.length > CUSTOMER_CHARACTERS_MAX || !CUSTOMER.test(customer)) {
    wrong('customer', 'must be an e-mail address');
  }
  if (!Array.isArray(items) || items.length < 1 || items.length > ITEMS_MAX) {
    wrong('items', `must be a list of 1 to ${ITEMS_MAX} items`);
  } else {
    items.forEach((item, index) => checkItem(item, `items.${index}`, { catalogue, wrong }));
  }
  if (errors.length > 0) throw new Problem(422, 'the order is not valid', { errors });
  return {
    customer: customer.toLowerCase(),
    items: items.map(({ product_id, quantity, name, unit_price_cents }) => ({
      product_id,
      quantity,
      name,
      unit_price_cents,
    })),
  };
}

function checkItem(item, path, { catalogue, wrong }) {
  if (!isObject(item)) {
    wrong(path, 'must be an object');
    return;
  }
  const { product_id, quantity, name, unit_price_cents, ...unknown } = item;
  for (const field of Object.keys(unknown)) wrong(`${path}.${field}`, 'is not known');
  if (!isWhole(product_id, 1, ID_MAX)) wrong(`${path}.product_id`, 'must be a product id');
  if (!isWhole(quantity, 1, QUANTITY_MAX)) wrong(`${path}.quantity`, `must be a whole number, 1 to ${QUANTITY_MAX}`);
  if (unit_price_cents === undefined ? !catalogue : !isWhole(unit_price_cents, 0, PRICE_CENTS_MAX)) {
    wrong(`${path}.unit_price_cents`, 'must be a price in cents');
  }
  const named = typeof name === 'string' && name.length >= 1 && name.length <= NAME_CHARACTERS_MAX;
  if (name === undefined ? !catalogue : !named || catalogue) {
    wrong(`${path}.name`, catalogue ? 'comes from the catalogue' : 'must be a name');
  }
}

export function idempotencyKey(value) {
  if (value !== undefined && !IDEMPOTENCY_KEY.test(value)) {
    throw new Problem(400, 'Idempotency-Key must be 1 to 255 visible ASCII characters');
  }
  return value;
}

export function orderId(value) {
  if (!UUID.test(value)) throw new Problem(404, `there is no order ${value}`);
  return value;
}

// `{limit, before, customer}` of a list request.
export function page({ limit = '20', before = String(Number.MAX_SAFE_INTEGER), customer }) {
  const errors = [];
  if (!/^\d{1,3}$/.test(limit) || !isWhole(Number(limit), 1, PAGE_ORDERS_MAX)) {
    errors.push({ field: 'limit', message: `must be a whole number, 1 to ${PAGE_ORDERS_MAX}` });
  }
  if (!/^\d{1,16}$/.test(before)) errors.push({ field: 'before', message: 'must be the `next` of another page' });
  if (customer !== undefined && typeof customer !== 'string') errors.push({ field: 'customer', message: 'is given twice' });
  if (errors.length > 0) throw new Problem(422, 'the request is not valid', { errors });
  return { limit: Number(limit), before, customer: customer?.toLowerCase() };
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isWhole = (value, min, max) => Number.isInteger(value) && value >= min && value <= max;
