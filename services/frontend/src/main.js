// The program: serves until SIGTERM or SIGINT.
import { createApp } from './app.js';
import { configFrom } from './config.js';
import { createFlags } from './flags.js';
import { createLog } from './observe.js';
import { listen, stopOnSignal } from './server.js';

const config = configFrom(process.env);
const log = createLog();
const flags = await createFlags({ ...config, log });
const server = await listen(createApp({ config, flags, log }), config);
log.info({ version: config.version, port: server.address().port }, 'started');
stopOnSignal(server, { log, secondsMax: config.shutdownSecondsMax, close: flags.close });
