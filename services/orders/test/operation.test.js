// What operators rely on: probes, headers, metrics, logs, configuration, migrations, a clean stop.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { configFrom } from '../src/config.js';
import { inTransaction, migrate, pending } from '../src/database.js';
import { createDatabase, keptLog, NOWHERE, startService } from './helper.js';

let database;
let service;
before(async () => {
  database = await createDatabase();
  service = await startService(database.url);
});
after(async () => {
  await service?.stop();
  await database?.drop();
});

describe('probes', () => {
  it('tell alive and ready', async () => {
    assert.deepEqual((await service.get('/health')).body, { status: 'ok', service: 'orders', version: '0123abc' });
    assert.deepEqual((await service.get('/ready')).body, { status: 'ready' });
  });

  it('tell alive, but not ready, without a database', async () => {
    const alone = await startService(NOWHERE);
    assert.equal((await alone.get('/health')).status, 200);
    for (const path of ['/ready', '/orders']) {
      const answer = await alone.get(path);
      assert.equal(answer.status, 503);
      assert.equal(answer.headers.get('retry-after'), '5');
      assert.equal(answer.body.detail, 'the database cannot be reached');
    }
    await alone.stop();
  });

  it('tell ready again after the database cut all connections', async () => {
    await service.get('/ready');
    const cut = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()';
    const other = await startService(database.url);
    await other.pool.query(cut);
    await other.stop();
    // The first use may meet the cut connection; the second never does.
    await service.get('/ready');
    assert.equal((await service.get('/ready')).status, 200);
  });
});

describe('every answer', () => {
  for (const path of ['/health', '/orders', '/nowhere']) {
    it(`has version and request id: ${path}`, async () => {
      const { headers } = await service.get(path, { 'x-request-id': 'abc-1' });
      assert.equal(headers.get('x-version'), '0123abc');
      assert.equal(headers.get('x-request-id'), 'abc-1');
      assert.equal(headers.get('x-powered-by'), null);
    });
  }

  it('has an id of our own when the caller’s is not one', async () => {
    for (const bad of ['', 'a b', 'x'.repeat(65)]) {
      const { headers } = await service.get('/health', { 'x-request-id': bad });
      assert.match(headers.get('x-request-id'), /^[0-9a-f-]{36}$/);
    }
  });

  it('is counted by route, not by path', async () => {
    await service.get('/orders/one');
    await service.get('/no/such/thing');
    const { body } = await service.get('/metrics');
    assert.match(body, /http_requests_total\{method="GET",route="\/orders\/:id",status="404"\} 1/);
    assert.match(body, /http_request_duration_seconds_bucket\{le="0.005",/);
    assert.match(body, /route="unmatched",status="404"/);
    assert.doesNotMatch(body, /such/);
  });

  it('is logged as one line, and probes that pass are not', async () => {
    await service.get('/health', { 'x-request-id': 'quiet' });
    await service.get('/orders', { 'x-request-id': 'loud' });
    const lines = service.log.lines.filter((line) => ['quiet', 'loud'].includes(line.request_id));
    assert.deepEqual(
      lines.map(({ level, message, method, path, status }) => ({ level, message, method, path, status })),
      [{ level: 'info', message: 'request', method: 'GET', path: '/orders', status: 200 }],
    );
  });

  it('says nothing of what went wrong inside, and the log does', async () => {
    const broken = await startService(database.url);
    broken.pool.connect = () => Promise.reject(new TypeError('a bug'));
    const answer = await broken.get('/orders');
    await broken.stop();
    assert.equal(answer.status, 500);
    assert.equal(answer.body.detail, 'something went wrong here');
    assert.ok(broken.log.lines.some((line) => line.level === 'error' && /a bug/.test(line.error)));
  });
});

describe('settings', () => {
  it('come from the environment', () => {
    const config = configFrom({ PORT: '9', GIT_SHA: 'abc', PRODUCTS_URL: 'http://products/' });
    assert.equal(config.port, 9);
    assert.equal(config.version, 'abc');
    assert.equal(config.productsUrl, 'http://products');
    assert.equal(configFrom({ GIT_SHA: '' }).version, 'unknown');
  });

  it('that are no numbers are refused by name', () => {
    assert.throws(() => configFrom({ PORT: 'http' }), /PORT must be a whole number, not http/);
  });
});

describe('a transaction', () => {
  it('that fails leaves nothing behind, and its connection usable', async () => {
    const insert = `INSERT INTO orders (customer, currency, total_cents, fingerprint) VALUES ('lost', 'EUR', 0, '')`;
    const failing = inTransaction(service.pool, async (client) => {
      await client.query(insert);
      await client.query('SELECT 1 / 0');
    });
    await assert.rejects(failing, /division by zero/);
    assert.deepEqual((await service.get('/orders?customer=lost')).body.orders, []);
  });
});

describe('migrations', () => {
  it('run once, also when several instances start them', async () => {
    const log = keptLog();
    await Promise.all([1, 2, 3].map(() => migrate(database.url, log)));
    assert.deepEqual(log.lines, []);
  });

  it('that are pending are known before they run, also in a database that never saw one', async () => {
    assert.deepEqual(await pending(database.url), []);
    const empty = await createDatabase({ migrated: false });
    try {
      assert.deepEqual(await pending(empty.url), ['0001_orders.sql']);
      await migrate(empty.url, keptLog());
      assert.deepEqual(await pending(empty.url), []);
    } finally {
      await empty.drop();
    }
  });
});

describe('the program', () => {
  const run = (arguments_, environment = {}) =>
    spawn(process.execPath, ['src/main.js', ...arguments_], {
      env: { ...process.env, DATABASE_URL: database.url, HOST: '127.0.0.1', PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'ignore'],
    });

  it('explains itself', async () => {
    assert.deepEqual(await once(run(['nonsense']), 'exit'), [2, null]);
  });

  it('migrates', async () => {
    assert.deepEqual(await once(run(['migrate']), 'exit'), [0, null]);
  });

  it('prints what is pending and nothing else', async () => {
    const program = run(['pending']);
    let output = '';
    program.stdout.on('data', (piece) => (output += piece));
    assert.deepEqual(await once(program, 'close'), [0, null]);
    assert.equal(output, '');
  });

  it('stops on SIGTERM, with idle connections open', { timeout: 10_000 }, async () => {
    const { exit, messages } = await untilStopped(run(['serve']), async (port) => {
      await fetch(`http://127.0.0.1:${port}/ready`).then((answer) => answer.text());
    });
    assert.deepEqual(exit, [0, null]);
    assert.deepEqual(messages, ['started', 'stopping', 'stopped']);
  });

  it('cuts requests that are still open at the deadline', { timeout: 10_000 }, async () => {
    const program = run(['serve'], { SHUTDOWN_SECONDS_MAX: '0' });
    const { exit, messages } = await untilStopped(program, async (port) => {
      const socket = connectSocket(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write('POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{');
      await fetch(`http://127.0.0.1:${port}/health`).then((answer) => answer.text());
    });
    assert.deepEqual(exit, [0, null]);
    assert.ok(messages.includes('requests still open at the deadline were cut'));
  });

  // Waits for the start, does `work(port)`, sends SIGTERM, and gives the exit and the log's messages.
  async function untilStopped(program, work) {
    const messages = [];
    const exited = once(program, 'exit');
    for await (const line of createInterface({ input: program.stdout })) {
      const { message, port } = JSON.parse(line);
      if (message !== 'request') messages.push(message);
      if (message === 'started') {
        await work(port);
        program.kill('SIGTERM');
      }
    }
    return { exit: await exited, messages };
  }
});
