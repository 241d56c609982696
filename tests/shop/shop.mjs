// What the checks of a deployed shop share: asking over HTTP, and saying what was looked at and what was found.
import { randomUUID } from "node:crypto";

const ANSWER_MILLISECONDS_MAX = 10_000;

/** Settings of a check, all from the environment; what is missing is said at once. */
export function settings(...names) {
  const found = names.map((name) => [name, process.env[name]]);
  const missing = found.filter(([, value]) => !value).map(([name]) => name);
  if (missing.length) {
    console.error(`missing: ${missing.join(", ")}`);
    process.exit(2);
  }
  return Object.fromEntries(found);
}

/**
 * A shop behind its proxy. What is asked of `service` is asked at `test`, where tests reach the colour that comes before users
 * do; all else at `url`, as users ask it. Answers have status, headers, text, and json where it is JSON.
 */
export class Shop {
  constructor(url, { service, test } = {}) {
    this.url = url.replace(/\/+$/, "");
    this.service = service;
    this.test = test?.replace(/\/+$/, "");
  }

  /** The service that a path belongs to. */
  static service(path) {
    return /^\/api\/([a-z]+)(\/|$)/.exec(path)?.[1] ?? "frontend";
  }

  /** Where a service answers: its health is at `base(service)/health`. */
  static base(service) {
    return service === "frontend" ? "" : `/api/${service}`;
  }

  async ask(path, options = {}) {
    const at = this.test && Shop.service(path) === this.service ? this.test : this.url;
    const answer = await fetch(at + path, {
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MILLISECONDS_MAX),
      ...options,
      headers: { "x-request-id": `check-${randomUUID()}`, ...options.headers },
    });
    const text = await answer.text();
    const json = /json/.test(answer.headers.get("content-type") ?? "") ? JSON.parse(text) : undefined;
    return { status: answer.status, headers: answer.headers, text, json };
  }

  get(path) {
    return this.ask(path);
  }

  /** Services that nobody has deployed yet, as the proxy says. */
  async missing(services) {
    const answers = await Promise.all(services.map((service) => this.get(`${Shop.base(service)}/health`)));
    const none = ({ status, text }) => [404, 503].includes(status) && /^(no service has this path|this service takes no requests now)/.test(text);
    return services.filter((_, index) => none(answers[index]));
  }

  order(order, key = randomUUID()) {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    return this.ask("/api/orders/orders", { method: "POST", body: JSON.stringify(order), headers });
  }

  form(path, fields) {
    return this.ask(path, { method: "POST", body: new URLSearchParams(fields) });
  }
}

/** Runs checks in order, a line for each; later ones often need what earlier ones found, so the first failure ends it. */
export class Checks {
  #count = 0;
  #started = Date.now();

  async that(what, work) {
    const started = Date.now();
    try {
      const told = await work();
      this.#count += 1;
      console.log(`  ✓ ${what}${told ? `: ${told}` : ""} (${Date.now() - started} ms)`);
    } catch (error) {
      console.log(`  ✗ ${what}`);
      const cause = error.cause ? ` (${error.cause.message ?? error.cause})` : "";
      console.log(`::error title=${what}::${error.message.split("\n").join("%0A")}${cause}`);
      process.exit(1);
    }
  }

  end(name) {
    console.log(`${name}: ${this.#count} checks passed in ${((Date.now() - this.#started) / 1000).toFixed(1)} s`);
  }
}

/** `expected` of an answer, or an error that shows the answer. */
export function is(answer, status) {
  if (answer.status !== status) {
    throw new Error(`answered ${answer.status}, not ${status}: ${answer.text.slice(0, 300)}`);
  }
  return answer;
}

export function equal(found, expected, what) {
  if (found !== expected) throw new Error(`${what} is ${found}, not ${expected}`);
}
