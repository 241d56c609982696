// Starting and stopping: a stop accepts nothing new, lets requests finish, and then closes what they used.
import { createServer } from 'node:http';
import { once } from 'node:events';

const REQUEST_MILLISECONDS_MAX = 30_000;
// Longer than load balancers keep idle connections, so that it is never us who closes one under a request.
const KEEP_ALIVE_MILLISECONDS = 65_000;

export async function listen(app, { host, port }) {
  const server = createServer({ requestTimeout: REQUEST_MILLISECONDS_MAX, keepAliveTimeout: KEEP_ALIVE_MILLISECONDS }, app);
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

export function stopOnSignal(server, { log, secondsMax, close }) {
  const stop = async (signal) => {
    log.info({ signal }, 'stopping');
    // Answers still under way ask their callers to come back on a new connection, elsewhere.
    server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'));
    const deadline = setTimeout(() => {
      log.warn('requests still open at the deadline were cut');
      server.closeAllConnections();
    }, secondsMax * 1000);
    server.close();
    await once(server, 'close');
    clearTimeout(deadline);
    await close();
    log.info('stopped');
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}
