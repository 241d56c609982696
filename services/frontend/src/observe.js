// What every request passes through: its id, the version header, metrics, and one JSON log line.
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import pino from 'pino';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

// A caller's id is kept only in this form: it ends up in our logs.
const CALLER_ID = /^[A-Za-z0-9._-]{1,64}$/;
// Probes come every few seconds and say nothing when they pass.
const PROBES = ['/health', '/ready', '/metrics'];

export function createLog(destination) {
  return pino(
    {
      base: { service: 'frontend' },
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

export function createMetrics() {
  const registry = new Registry();
  const labelNames = ['method', 'route', 'status'];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    requests: new Counter({ name: 'http_requests_total', help: 'Requests answered.', labelNames, registers: [registry] }),
    seconds: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time to answer a request.',
      labelNames,
      registers: [registry],
    }),
  };
}

export function observe({ log, metrics, version }) {
  return (request, response, next) => {
    const caller = request.get('x-request-id') ?? '';
    request.id = CALLER_ID.test(caller) ? caller : randomUUID();
    request.log = log.child({ request_id: request.id });
    response.set({ 'X-Request-ID': request.id, 'X-Version': version });
    const started = performance.now();
    response.once('close', () => {
      const milliseconds = performance.now() - started;
      // The route's template, not the path: paths are without number, and each label value is kept for ever.
      const labels = { method: request.method, route: request.route?.path ?? 'unmatched', status: response.statusCode };
      metrics.requests.inc(labels);
      metrics.seconds.observe(labels, milliseconds / 1000);
      const quiet = response.statusCode < 400 && PROBES.includes(request.path);
      request.log[quiet ? 'debug' : 'info'](
        {
          method: request.method,
          path: request.path,
          status: response.statusCode,
          milliseconds: Math.round(milliseconds * 100) / 100,
          // The caller went away before the answer was whole.
          ...(response.writableFinished ? {} : { aborted: true }),
        },
        'request',
      );
    });
    next();
  };
}
