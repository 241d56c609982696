// The program: serves until SIGTERM or SIGINT.
import { createApp } from './app.js';
import { configFrom } from './config.js';
import { createLog } from './observe.js';
import { listen, stopOnSignal } from './server.js';

const config = configFrom(process.env);
const log = createLog();
const server = await listen(createApp({ config, log }), config);
log.info({ version: config.version, port: server.address().port }, 'started');
stopOnSignal(server, { log, secondsMax: config.shutdownSecondsMax, close: () => Promise.resolve() });
