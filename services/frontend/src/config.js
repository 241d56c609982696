// Settings, all from the environment.

export function configFrom(environment) {
  return {
    productsUrl: base(environment.PRODUCTS_URL || 'http://products:8080'),
    ordersUrl: base(environment.ORDERS_URL || 'http://orders:8080'),
    host: environment.HOST || '0.0.0.0',
    port: number(environment, 'PORT', 8080),
    version: environment.GIT_SHA || 'unknown',
    // The file of feature flags, and how often it is looked at. Without one, flags are what the code says.
    flagsFile: environment.FLAGS_FILE,
    flagsPollMilliseconds: number(environment, 'FLAGS_POLL_MILLISECONDS', 1_000),
    shutdownSecondsMax: number(environment, 'SHUTDOWN_SECONDS_MAX', 10),
    upstreamMillisecondsMax: number(environment, 'UPSTREAM_MILLISECONDS_MAX', 3_000),
  };
}

const base = (url) => url.replace(/\/+$/, '');

function number(environment, name, otherwise) {
  const value = environment[name] ? Number(environment[name]) : otherwise;
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} must be a whole number, not ${environment[name]}`);
  return value;
}
