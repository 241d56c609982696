// The command line: `node src/main.js serve` answers requests, `node src/main.js migrate` updates the database.
import { createApp } from './app.js';
import { configFrom } from './config.js';
import { connect, migrate } from './database.js';
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
} else {
  process.stderr.write('usage: node src/main.js [serve | migrate]\n');
  process.exitCode = 2;
}
