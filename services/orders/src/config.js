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
    shutdownSecondsMax: number(environment, 'SHUTDOWN_SECONDS_MAX', 10),
    productsMillisecondsMax: number(environment, 'PRODUCTS_MILLISECONDS_MAX', 2_000),
  };
}

function number(environment, name, otherwise) {
  const value = environment[name] ? Number(environment[name]) : otherwise;
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} must be a whole number, not ${environment[name]}`);
  return value;
}
