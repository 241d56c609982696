// The command line: `node src/main.js serve` answers requests, `node src/main.js migrate` updates the database, `node
// src/main.js pending` prints the migrations that it would apply, one a line.
import { createApp } from './app.js';
import { configFrom } from './config.js';
import { connect, migrate, pending } from './database.js';
import { createFlags } from './flags.js';
import { createLog } from './observe.js';
import { listen, stopOnSignal } from './server.js';

const config = configFrom(process.env);
const log = createLog();
const command = process.argv[2] ?? 'serve';

if (command === 'serve') {
  const pool = connect(config.databaseUrl, log);
  const flags = await createFlags({ ...config, log });
  const server = await listen(createApp({ config, pool, flags, log }), config);
  log.info({ version: config.version, port: server.address().port }, 'started');
  stopOnSignal(server, { log, secondsMax: config.shutdownSecondsMax, close: () => Promise.all([pool.end(), flags.close()]) });
} else if (command === 'migrate') {
  await migrate(config.databaseUrl, log);
} else if (command === 'pending') {
  process.stdout.write((await pending(config.databaseUrl)).map((name) => `${name}\n`).join(''));
} else {
  process.stderr.write('usage: node src/main.js [serve | migrate | pending]\n');
  process.exitCode = 2;
}
