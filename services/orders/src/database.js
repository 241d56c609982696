// The database: connections with time limits, transactions, and migrations.
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { Problem } from './problem.js';

const POOL_CONNECTIONS_MAX = 10;
const CONNECT_MILLISECONDS_MAX = 3_000;
const STATEMENT_MILLISECONDS_MAX = 5_000;
const MIGRATIONS = new URL('../migrations/', import.meta.url);
// Any number will do, as long as all instances of this service take the same one.
const MIGRATION_LOCK = 7_205_002;

// Connects when first used, so that the service starts while its database is still away.
export function connect(url, log) {
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MILLISECONDS_MAX,
    statement_timeout: STATEMENT_MILLISECONDS_MAX,
    query_timeout: STATEMENT_MILLISECONDS_MAX + 1_000,
    application_name: 'orders',
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', (error) => log.warn({ error: error.message }, 'an idle database connection broke'));
  return pool;
}

// Runs `work(client)`; its database errors come out as problems.
export async function withClient(pool, work) {
  let client;
  let failure;
  try {
    client = await pool.connect();
    return await work(client);
  } catch (error) {
    failure = error;
    throw isAway(error) ? away(error) : error;
  } finally {
    // A connection that failed for a reason other than the statement is not used again.
    client?.release(failure && isAway(failure) ? failure : undefined);
  }
}

export function inTransaction(pool, work) {
  return withClient(pool, async (client) => {
    await client.query('BEGIN');
    try {
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {});
      throw error;
    }
  });
}

// What the server said of a statement has an SQLSTATE. Of these, connection (08), resources (53) and intervention
// (57, also time limits) may pass. All else that pg throws is about the connection.
function isAway(error) {
  if (error instanceof Problem) return false;
  if (error instanceof pg.DatabaseError) return /^(08|53|57)/.test(error.code);
  return error.syscall !== undefined || error.errors !== undefined || /timeout|terminated|ended/i.test(error.message);
}

function away(cause) {
  const problem = new Problem(503, 'the database cannot be reached', { headers: { 'Retry-After': '5' } });
  problem.cause = cause;
  return problem;
}

// Names of the files in migrations/ that this database has not seen, in order. Nothing is changed.
export function pending(url) {
  return withMigrations(url, async (client) => {
    const { rows } = await client.query("SELECT to_regclass('migrations') IS NOT NULL AS known");
    return rows[0].known ? unseen(client) : files();
  });
}

// Runs the files in migrations/ that this database has not seen, in the order of their names, all or none. Several
// instances may call it at once: the first does it, the rest wait.
export async function migrate(url, log) {
  await withMigrations(url, async (client) => {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query(
      'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    for (const name of await unseen(client)) {
      await client.query(await readFile(new URL(name, MIGRATIONS), 'utf8'));
      await client.query('INSERT INTO migrations (name) VALUES ($1)', [name]);
      log.info({ migration: name }, 'migrated');
    }
    await client.query('COMMIT');
  });
}

async function withMigrations(url, work) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MILLISECONDS_MAX });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function unseen(client) {
  const { rows } = await client.query('SELECT name FROM migrations');
  const done = new Set(rows.map((row) => row.name));
  return (await files()).filter((name) => !done.has(name));
}

async function files() {
  return (await readdir(MIGRATIONS)).filter((name) => name.endsWith('.sql')).sort();
}
