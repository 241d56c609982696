// Settings, all from the environment.

export function configFrom(environment) {
  return {
    // Without DATABASE_URL, libpq's own variables (PGHOST, PGUSER, ...) say where the database is.
    databaseUrl: environment.DATABASE_URL,
    // Where the catalogue is. Without it, callers state names and prices themselves.
    productsUrl: environment.PRODUCTS_URL?.replace(/\/+$/, ''),
    host: environment.HOST || '0.0.0.0',
    port: number(environment, 'PORT', 8080),
    version: environment.GIT_SHA || 'unknown',
    // The file of feature flags, and how often it is looked at. Without one, flags are what the code says.
    flagsFile: environment.FLAGS_FILE,
    flagsPollMilliseconds: number(environment, 'FLAGS_POLL_MILLISECONDS', 1_000),
    shutdownSecondsMax: number(environment, 'SHUTDOWN_SECONDS_MAX', 10),
    productsMillisecondsMax: number(environment, 'PRODUCTS_MILLISECONDS_MAX', 2_000),
  };
}

function number(environment, name, otherwise) {
  const value = environment[name] ? Number(environment[name]) : otherwise;
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} must be a whole number, not ${environment[name]}`);
  return value;
}
