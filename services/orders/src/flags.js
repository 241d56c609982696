// Feature flags from a file, behind OpenFeature's interface (https://openfeature.dev). The file has flagd's format
// (https://flagd.dev/schema/v0/flags.json) and is looked at again and again, so that a flag is switched by writing it. A
// file that cannot be used changes nothing: the flags that were read last stay, and the log says what is wrong.
// The same file as in the other services in Node, since each is built alone.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { clearInterval, setInterval } from 'node:timers';
import {
  FlagNotFoundError,
  OpenFeature,
  OpenFeatureEventEmitter,
  ProviderEvents,
  ProviderNotReadyError,
  StandardResolutionReasons,
  TypeMismatchError,
} from '@openfeature/server-sdk';
import { evaluate, parse } from './targeting.js';

const FILE_BYTES_MAX = 1024 * 1024;

// `{isOn(key, otherwise, context), close()}`. Without a file all flags are what the code says.
export async function createFlags({ flagsFile, flagsPollMilliseconds, log }) {
  // A name of its own: OpenFeature's providers belong to the whole process.
  const domain = randomUUID();
  const client = OpenFeature.getClient(domain);
  const provider = flagsFile ? new FileProvider(flagsFile, flagsPollMilliseconds, log) : undefined;
  if (provider) {
    // A file that is not there yet is no reason not to start: flags are what the code says until it comes.
    await OpenFeature.setProviderAndWait(domain, provider).catch(() => {});
  }
  return {
    client,
    isOn: (key, otherwise, context = {}) => client.getBooleanValue(key, otherwise, context),
    close: () => Promise.resolve(provider?.onClose()),
  };
}

// The provider: https://openfeature.dev/specification/sections/providers
export class FileProvider {
  runsOn = 'server';
  metadata = { name: 'file' };
  events = new OpenFeatureEventEmitter();
  #flags;
  #seen;
  #timer;

  constructor(path, pollMilliseconds, log) {
    this.path = path;
    this.pollMilliseconds = pollMilliseconds;
    this.log = log;
  }

  async initialize() {
    // Read again and again: events do not come through what is mounted into a container.
    this.#timer = setInterval(() => this.read().catch(() => {}), this.pollMilliseconds);
    await this.read();
  }

  onClose() {
    clearInterval(this.#timer);
    return Promise.resolve();
  }

  // Takes what the file says now, or keeps what there is. What was seen the last time is not looked at again.
  async read() {
    let text;
    try {
      text = await readFile(this.path, 'utf8');
      if (text === this.#seen) return;
      if (text.length > FILE_BYTES_MAX) throw new Error(`is larger than ${FILE_BYTES_MAX} bytes`);
      const flags = parse(text);
      const changed = changes(this.#flags ?? new Map(), flags);
      this.#flags = flags;
      this.log.info({ file: this.path, flags: summary(flags), changed }, 'feature flags read');
      // Ready also after a file that could not be used: OpenFeature counts that as an error until it hears otherwise.
      this.events.emit(ProviderEvents.Ready);
      this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: changed });
    } catch (error) {
      text ??= error.code;
      if (text === this.#seen) return;
      const kept = this.#flags ? 'the flags that were read before stay' : 'flags are what the code says';
      this.log.error({ file: this.path, cause: error.message }, `feature flags cannot be read; ${kept}`);
      this.events.emit(this.#flags ? ProviderEvents.Stale : ProviderEvents.Error, { message: error.message });
      throw error;
    } finally {
      this.#seen = text;
    }
  }

  resolveBooleanEvaluation(key, otherwise, context) {
    return this.#resolve('boolean', key, otherwise, context);
  }

  resolveStringEvaluation(key, otherwise, context) {
    return this.#resolve('string', key, otherwise, context);
  }

  resolveNumberEvaluation(key, otherwise, context) {
    return this.#resolve('number', key, otherwise, context);
  }

  resolveObjectEvaluation(key, otherwise, context) {
    return this.#resolve('object', key, otherwise, context);
  }

  // Mistakes are thrown: the client turns them into the value that the code says.
  #resolve(type, key, otherwise, context) {
    if (!this.#flags) throw new ProviderNotReadyError(`${this.path} could not be read`);
    const flag = this.#flags.get(key);
    if (!flag) throw new FlagNotFoundError(`there is no flag ${key} in ${this.path}`);
    if (flag.type !== type) throw new TypeMismatchError(`the flag ${key} is a ${flag.type}, not a ${type}`);
    if (flag.state === 'DISABLED') return { value: otherwise, reason: StandardResolutionReasons.DISABLED };
    const chosen = flag.targeting && evaluate(flag.targeting, context);
    const matched = Object.hasOwn(flag.variants, String(chosen));
    const variant = matched ? String(chosen) : flag.defaultVariant;
    const reason = matched ? StandardResolutionReasons.TARGETING_MATCH : StandardResolutionReasons.STATIC;
    if (variant === null) return { value: otherwise, reason: StandardResolutionReasons.DEFAULT };
    return { value: flag.variants[variant], variant, reason };
  }
}

const summary = (flags) => Object.fromEntries([...flags].map(([key, { state, defaultVariant }]) => [key, state === 'ENABLED' ? defaultVariant : state]));

function changes(before, after) {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key)));
}
