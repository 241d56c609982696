// What a visitor sees. Pages are whole without scripts.
import { html } from './html.js';

export function layout(title, content) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} – The shop</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header><a class="name" href="/">The shop</a><nav><a href="/">Products</a> <a href="/orders">Your orders</a></nav></header>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
}

export function productList({ products, next, q }) {
  const more = next && `/?${new URLSearchParams({ after: next, ...(q && { q }) })}`;
  return layout(
    q ? `Products with “${q}”` : 'Products',
    html`<form class="search" action="/" role="search">
<label for="q">Search</label> <input id="q" name="q" value="${q}" maxlength="100"> <button>Search</button>
</form>
${products.length === 0 && html`<p>Nothing found. <a href="/">See everything</a>.</p>`}
<ul class="products">
${products.map(
  (product) => html`<li><a href="/products/${product.id}">${product.name}</a>
<p>${product.description}</p><p class="price">${money(product.price_cents, product.currency)}</p></li>
`,
)}</ul>
${more && html`<p><a rel="next" href="${more}">More products</a></p>`}`,
  );
}

// `key` makes one order of a form that is sent twice. `errors` are what was wrong with it the last time. In two steps the
// sum is shown before anything is ordered; while the shop is not `open` there is nothing to order with.
export function productPage({ product, key, form = {}, errors = [], twoSteps = false, open = true }) {
  return layout(
    product.name,
    html`<p>${product.description}</p>
<p class="price">${money(product.price_cents, product.currency)}</p>
${errors.length > 0 && html`<div class="error" role="alert"><p>The order was not placed:</p><ul>${errors.map((error) => html`<li>${error}</li>`)}</ul></div>`}
${open ? orderForm({ product, key, form, twoSteps }) : html`<p class="closed">We take no orders for the moment. Please look in again.</p>`}`,
  );
}

function orderForm({ product, key, form, twoSteps }) {
  const quantity = html`<p><label for="quantity">How many</label> <input id="quantity" name="quantity" type="number" min="1" max="1000" value="${form.quantity ?? 1}" required></p>`;
  if (twoSteps) {
    return html`<form action="/products/${product.id}/checkout">
${quantity}
<p><button>To the checkout</button></p>
</form>`;
  }
  return html`<form method="post" action="/products/${product.id}/order">
${hidden({ key, price_cents: product.price_cents })}
${quantity}
${customerField(form.customer)}
<p><button>Place the order</button></p>
</form>`;
}

export function checkoutPage({ product, quantity, key }) {
  return layout(
    'Checkout',
    html`<p>${quantity} × <a href="/products/${product.id}">${product.name}</a></p>
<p class="price">Together ${money(quantity * product.price_cents, product.currency)}</p>
<form method="post" action="/products/${product.id}/order">
${hidden({ key, price_cents: product.price_cents, quantity })}
${customerField()}
<p><button>Order and pay ${money(quantity * product.price_cents, product.currency)}</button></p>
</form>`,
  );
}

const hidden = (fields) =>
  Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">
`);

const customerField = (value) =>
  html`<p><label for="customer">Your e-mail address</label> <input id="customer" name="customer" type="email" value="${value}" autocomplete="email" required></p>`;

export function orderPage(order) {
  return layout(
    'Thank you for your order',
    html`<p>Order <code>${order.id}</code> for ${order.customer}, ${date(order.created_at)}.</p>
<table>
<thead><tr><th>Product</th><th>Quantity</th><th>Price</th></tr></thead>
<tbody>
${order.items.map(
  (item) => html`<tr><td><a href="/products/${item.product_id}">${item.name}</a></td><td>${item.quantity}</td><td>${money(item.quantity * item.unit_price_cents, order.currency)}</td></tr>
`,
)}</tbody>
<tfoot><tr><th colspan="2">Total</th><td>${money(order.total_cents, order.currency)}</td></tr></tfoot>
</table>
<p><a href="/orders?${new URLSearchParams({ customer: order.customer })}">All your orders</a></p>`,
  );
}

export function orderList({ customer, orders, next }) {
  const more = next && `/orders?${new URLSearchParams({ customer, before: next })}`;
  return layout(
    'Your orders',
    html`<form class="search" action="/orders">
<label for="customer">Your e-mail address</label> <input id="customer" name="customer" type="email" value="${customer}" required> <button>Show</button>
</form>
${customer && orders.length === 0 && html`<p>There are no orders for ${customer}.</p>`}
<ul class="orders">
${orders.map(
  (order) => html`<li><a href="/orders/${order.id}">${date(order.created_at)}</a>: ${order.items.map((item) => `${item.quantity} × ${item.name}`).join(', ')}, ${money(order.total_cents, order.currency)}</li>
`,
)}</ul>
${more && html`<p><a rel="next" href="${more}">Earlier orders</a></p>`}`,
  );
}

const WHAT_IS_AWAY = {
  products: 'We cannot show our products for the moment. Your orders are safe, and you can still look at them.',
  orders: 'We cannot take or show orders for the moment. You can still look at our products. If you have just ordered, go back and send the form again: it will not be ordered twice.',
};

export function awayPage(service, requestId) {
  return layout(
    'Back in a moment',
    html`<p>${WHAT_IS_AWAY[service]}</p><p>Please try again in a minute. <small>Reference: ${requestId}</small></p>`,
  );
}

export function errorPage({ title, text, requestId }) {
  return layout(title, html`<p>${text}</p><p><a href="/">To the products</a>. <small>Reference: ${requestId}</small></p>`);
}

const money = (cents, currency) => new Intl.NumberFormat('en', { style: 'currency', currency }).format(cents / 100);

const DATE = new Intl.DateTimeFormat('en', { dateStyle: 'long', timeZone: 'UTC' });
const date = (text) => DATE.format(new Date(text));
