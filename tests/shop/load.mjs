// Visitors, so many requests a second, until SIGTERM or for as long as asked. Of those who are waiting for answers there are no
// more than asked for: who would be one more does not come, and is told as skipped. Counts exactly: each request is
// answered, or failed by a status of 5xx, a broken connection or no answer in time. Nothing is tried again.
//   node tests/shop/load.mjs URL --rate 60 [--open 32] [--seconds 30] [--progress SECONDS]
// The last line is a report in JSON: requests, failed, unexpected, and by service, version and status.
//
// Two thirds are orders, of which three in twenty come from addresses such as `ada+shop@example.org`; the rest looks at pages.
import { Agent, request } from "node:http";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rate: { type: "string", default: "60" },
    seconds: { type: "string" },
    open: { type: "string", default: "32" },
    progress: { type: "string" },
  },
});
const url = new URL(positionals[0] ?? usage());
const rate = Number(values.rate);
if (!(rate > 0 && rate <= 10_000)) usage();
const ANSWER_MILLISECONDS_MAX = 10_000;
const OPEN_MAX = Number(values.open);
// Orders of the first of these in each round of twenty are from an address with a `+`.
const ROUND = 20;
const PLUS = 3;
const NAMES = ["ada", "grace", "edsger", "barbara", "niklaus", "tony", "frances", "donald"];

function usage() {
  console.error("usage: load.mjs URL --rate REQUESTS_A_SECOND [--open N] [--seconds N] [--progress SECONDS]");
  process.exit(2);
}

const agent = new Agent({ keepAlive: true, maxSockets: OPEN_MAX });
const counted = { requests: 0, failed: 0, unexpected: 0, skipped: 0, services: {} };
const durations = [];
const failures = [];
let open = 0;
let number = 0;
let orders = 0;

// What a visitor asks for next: `[service, path, method, body, expected status]`.
function next() {
  number += 1;
  if (number % 3 === 0) {
    return number % 2 ? ["frontend", "/", "GET", undefined, 200] : ["products", "/api/products/products?limit=5", "GET", undefined, 200];
  }
  orders += 1;
  const name = NAMES[orders % NAMES.length];
  const customer = orders % ROUND < PLUS ? `${name}+shop@example.org` : `${name}@example.org`;
  const order = { customer, items: [{ product_id: 1 + (orders % 8), quantity: 1 + (orders % 2) }] };
  return ["orders", "/api/orders/orders", "POST", JSON.stringify(order), 201];
}

function send() {
  if (open >= OPEN_MAX) {
    counted.skipped += 1;
    return;
  }
  const [service, path, method, body, expected] = next();
  const started = performance.now();
  open += 1;
  counted.requests += 1;
  const headers = body ? { "content-type": "application/json", "content-length": Buffer.byteLength(body) } : {};
  const asked = request({ agent, host: url.hostname, port: url.port || 80, path, method, headers });
  let over = false;
  const end = (status, version, why) => {
    if (over) return;
    over = true;
    open -= 1;
    durations.push(performance.now() - started);
    const of = (counted.services[service] ??= { requests: 0, failed: 0, versions: {} });
    const at = (of.versions[version] ??= { requests: 0, failed: 0, statuses: {} });
    const failed = status === 0 || status >= 500;
    for (const one of [of, at]) {
      one.requests += 1;
      if (failed) one.failed += 1;
    }
    at.statuses[status || why] = (at.statuses[status || why] ?? 0) + 1;
    if (failed) counted.failed += 1;
    else if (status !== expected) counted.unexpected += 1;
    if ((failed || status !== expected) && failures.length < 20) failures.push({ at: new Date().toISOString(), service, version, status, why });
  };
  asked.setTimeout(ANSWER_MILLISECONDS_MAX, () => asked.destroy(new Error("no answer in time")));
  asked.on("error", (error) => end(0, "none", error.code ?? error.message));
  asked.on("response", (answer) => {
    const version = String(answer.headers["x-version"] ?? "none").slice(0, 7);
    let text = "";
    answer.on("data", (part) => (text = text.length < 200 ? text + part : text));
    answer.on("end", () => end(answer.statusCode, version, text.slice(0, 200)));
    answer.on("error", (error) => end(0, version, error.code ?? error.message));
  });
  asked.end(body);
}

function share(service) {
  const { versions = {} } = counted.services[service] ?? {};
  return Object.entries(versions).map(([version, { requests, failed }]) => `${version} ${requests}${failed ? ` (${failed} failed)` : ""}`).join(", ");
}

const begun = performance.now();
const pulse = setInterval(() => {
  // As many as should have been sent by now: a late timer sends what it missed.
  const due = Math.floor(((performance.now() - begun) / 1000) * rate);
  while (counted.requests + counted.skipped < due) send();
}, 5);
const progress = values.progress && setInterval(() => {
  console.log(`load: ${counted.requests} requests, ${counted.failed} failed; orders by version: ${share("orders")}`);
}, Number(values.progress) * 1000);

let stopping = false;
async function stop() {
  if (stopping) return;
  stopping = true;
  clearInterval(pulse);
  clearInterval(progress);
  while (open > 0) await new Promise((done) => setTimeout(done, 5));
  agent.destroy();
  durations.sort((a, b) => a - b);
  const quantile = (q) => Math.round((durations[Math.min(durations.length - 1, Math.floor(q * durations.length))] ?? 0) * 10) / 10;
  const seconds = Math.round((performance.now() - begun) / 100) / 10;
  const report = { seconds, ...counted, milliseconds: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }, failures };
  console.log(JSON.stringify(report));
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
if (values.seconds) setTimeout(stop, Number(values.seconds) * 1000);
