"""The shop's catalogue: products in PostgreSQL behind a small HTTP API."""
