CREATE TABLE orders (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- The order of arrival, for paging; ids tell nothing about it.
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  customer text NOT NULL,
  currency text NOT NULL,
  total_cents bigint NOT NULL CHECK (total_cents >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  -- What the caller named this request, and a hash of what it asked for.
  idempotency_key text UNIQUE,
  fingerprint text NOT NULL
);

CREATE INDEX orders_customer_number ON orders (customer, number DESC);

CREATE TABLE order_items (
  order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
  position integer NOT NULL,
  product_id integer NOT NULL,
  name text NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  unit_price_cents integer NOT NULL CHECK (unit_price_cents >= 0),
  PRIMARY KEY (order_id, position)
);
