// The products service, as orders sees it: what is it called, what does it cost.
import { Problem } from './problem.js';

export function createCatalogue({ productsUrl, productsMillisecondsMax }) {
  if (!productsUrl) return null;

  async function product(id, requestId) {
    const answer = await fetch(`${productsUrl}/products/${id}`, {
      headers: { accept: 'application/json', 'x-request-id': requestId },
      signal: AbortSignal.timeout(productsMillisecondsMax),
    });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`products answered ${answer.status}`);
    const { name, price_cents, currency } = await answer.json();
    if (typeof name !== 'string' || typeof currency !== 'string' || !Number.isInteger(price_cents)) {
      throw new Error(`products answered something else than product ${id}`);
    }
    return { name, price_cents, currency };
  }

  return {
    // The items with the catalogue's names and prices, and the currency that they share.
    async price(items, requestId) {
      const ids = [...new Set(items.map((item) => item.product_id))];
      let found;
      try {
        found = new Map(await Promise.all(ids.map(async (id) => [id, await product(id, requestId)])));
      } catch (cause) {
        const problem = new Problem(503, 'the catalogue cannot be reached', { headers: { 'Retry-After': '5' } });
        problem.cause = cause;
        throw problem;
      }
      const errors = [];
      items.forEach((item, index) => {
        const known = found.get(item.product_id);
        const field = `items.${index}`;
        if (!known) {
          errors.push({ field: `${field}.product_id`, message: `there is no product ${item.product_id}` });
        } else if (item.unit_price_cents !== undefined && item.unit_price_cents !== known.price_cents) {
          errors.push({ field: `${field}.unit_price_cents`, message: `the price is now ${known.price_cents}` });
        }
      });
      const currencies = new Set([...found.values()].filter(Boolean).map((known) => known.currency));
      if (currencies.size > 1) errors.push({ field: 'items', message: 'must have one currency' });
      if (errors.length > 0) throw new Problem(422, 'the order does not fit the catalogue', { errors });
      return {
        currency: [...currencies][0],
        items: items.map((item) => {
          const { name, price_cents } = found.get(item.product_id);
          return { ...item, name, unit_price_cents: price_cents };
        }),
      };
    },
  };
}
