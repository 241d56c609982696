// A database of its own for each test file, on the PostgreSQL that DATABASE_URL names, and the service on a free port.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import pg from 'pg';
import { createApp } from '../src/app.js';
import { configFrom } from '../src/config.js';
import { connect, migrate } from '../src/database.js';
import { createFlags } from '../src/flags.js';
import { createLog } from '../src/observe.js';
import { listen } from '../src/server.js';

export const NOWHERE = 'postgresql://nobody@127.0.0.1:1/none';

// A log that keeps its lines.
export function keptLog() {
  const lines = [];
  return Object.assign(createLog({ write: (line) => lines.push(JSON.parse(line)) }), { lines });
}

export async function createDatabase({ migrated = true } = {}) {
  if (!process.env.DATABASE_URL) throw new Error('DATABASE_URL must name a PostgreSQL whose role may create databases');
  const name = `orders_test_${randomUUID().slice(0, 8)}`;
  const asAdmin = async (statement) => {
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
    await client.connect();
    await client.query(statement);
    await client.end();
  };
  await asAdmin(`CREATE DATABASE ${name}`);
  const url = new URL(process.env.DATABASE_URL);
  url.pathname = `/${name}`;
  if (migrated) await migrate(url.href, keptLog());
  return { url: url.href, drop: () => asAdmin(`DROP DATABASE ${name} WITH (FORCE)`) };
}

// Starts the service: `{get, post, log, stop}`; answers come as `{status, headers, body}`.
export async function startService(databaseUrl, environment = {}) {
  const config = configFrom({ DATABASE_URL: databaseUrl, HOST: '127.0.0.1', PORT: '0', GIT_SHA: '0123abc', ...environment });
  const log = keptLog();
  const pool = connect(config.databaseUrl, log);
  const flags = await createFlags({ ...config, log });
  const server = await listen(createApp({ config, pool, flags, log }), config);
  const base = `http://127.0.0.1:${server.address().port}`;
  const call = async (path, options) => {
    const answer = await fetch(base + path, options);
    const text = await answer.text();
    const isJson = /json/.test(answer.headers.get('content-type'));
    return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    base,
    log,
    pool,
    flags,
    get: (path, headers = {}) => call(path, { headers }),
    post: (path, body, headers = {}) =>
      call(path, {
        method: 'POST',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
    async stop() {
      server.close();
      server.closeAllConnections();
      await pool.end();
      await flags.close();
    },
  };
}

// A stand-in for the products service that answers with `answer(path, request)`: `[status, body]`, or nothing at all.
export async function startProducts(answer) {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url, headers: request.headers });
    const [status, body] = answer(request.url) ?? [];
    if (status) response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    requests,
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
