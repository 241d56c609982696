// The file of feature flags: what it may say, and that switching one needs no new start. The same in both services in Node.
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ProviderEvents } from '@openfeature/server-sdk';
import { createFlags } from '../src/flags.js';
import { evaluate, parse } from '../src/targeting.js';
import { keptLog } from './helper.js';

const SWITCH = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'on' };
const file = (flags, more = {}) => JSON.stringify({ $schema: 'https://flagd.dev/schema/v0/flags.json', flags, ...more });

describe('a file of flags', () => {
  const bad = [
    ['', /Unexpected end/],
    ['[]', /flags: must be an object/],
    [file({ a: 1 }), /flags\.a: must be an object/],
    [file({ a: { ...SWITCH, state: 'on' } }), /flags\.a\.state: must be ENABLED or DISABLED/],
    [file({ a: { ...SWITCH, defaultVariant: 'yes' } }), /flags\.a\.defaultVariant: must be one of on, off/],
    [file({ a: { ...SWITCH, variants: { on: true, off: 'no' } } }), /flags\.a\.variants: must be an object with values of one type/],
    [file({ a: { ...SWITCH, variants: null } }), /flags\.a\.variants/],
    [file({ a: { ...SWITCH, default: 'on' } }), /flags\.a\.default: is not known/],
    [file({ a: SWITCH }, { $evaluators: {} }), /\$evaluators: is not known here/],
    [file({ a: { ...SWITCH, targeting: { fractional: [] } } }), /flags\.a\.targeting: has fractional, where one of var, if/],
    [file({ a: { ...SWITCH, targeting: { if: [{ '==': [1, { sem_ver: [] }] }] } } }), /targeting\.if\[0\]\.==\[1\]: has sem_ver/],
    [file({ a: { ...SWITCH, targeting: { var: 'x', in: [] } } }), /has var, in,/],
    [file({ a: { ...SWITCH, targeting: Array.from({ length: 30 }).reduce((rule) => ({ '!': rule }), true) } }), /nested too deeply/],
  ];
  for (const [text, expected] of bad) {
    it(`is refused: ${expected.source}`, () => assert.throws(() => parse(text), expected));
  }

  it('is refused with all of its mistakes', () => {
    const text = file({ a: { ...SWITCH, state: 1 }, b: { ...SWITCH, defaultVariant: 2 } });
    assert.throws(() => parse(text), /flags\.a\.state.*flags\.b\.defaultVariant/);
  });
});

describe('a rule', () => {
  const context = { customer: 'ada@example.org', cart: { items: 3 }, beta: true };
  const cases = [
    [{ var: 'customer' }, 'ada@example.org'],
    [{ var: 'cart.items' }, 3],
    [{ var: ['cart.size', 7] }, 7],
    [{ var: 'cart.constructor' }, null],
    [{ ends_with: [{ var: 'customer' }, '@example.org'] }, true],
    [{ starts_with: [{ var: 'nothing' }, 'a'] }, false],
    [{ in: ['b', ['a', 'b']] }, true],
    [{ in: ['b', 3] }, false],
    [{ and: [{ '>': [{ var: 'cart.items' }, 2] }, { '<=': [{ var: 'cart.items' }, 3] }] }, true],
    [{ or: [{ '<': [3, 2] }, { '>=': [2, 3] }, { '!': { var: 'beta' } }] }, false],
    [{ and: [{ '==': [1, 1] }, { '===': [1, 1] }, { '!=': [1, 2] }, { '!==': [1, 2] }] }, true],
    [{ if: [{ var: 'beta' }, 'on', 'off'] }, 'on'],
    [{ if: [false, 1, { var: 'beta' }, 2, 3] }, 2],
    [{ if: [false, 1, false, 2, 3] }, 3],
    [{ if: [false, 1] }, null],
  ];
  for (const [rule, expected] of cases) {
    it(JSON.stringify(rule), () => assert.deepEqual(evaluate(rule, context), expected));
  }
});

describe('flags', () => {
  let folder;
  let path;
  let log;
  let flags;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'flags-'));
    path = join(folder, 'flags.json');
    log = keptLog();
  });
  afterEach(async () => {
    await flags.close();
    await rm(folder, { recursive: true });
  });
  const open = async () => (flags = await createFlags({ flagsFile: path, flagsPollMilliseconds: 10, log }));
  // Replaced as a whole, as who writes such a file should.
  const write = async (text) => {
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  };
  const next = (event) => new Promise((resolve) => flags.client.addHandler(event, resolve));
  const last = () => log.lines.at(-1);

  it('are what the code says without a file', async () => {
    flags = await createFlags({ log });
    assert.equal(await flags.isOn('new', true), true);
    assert.equal(await flags.isOn('new', false), false);
  });

  it('are what the file says', async () => {
    await write(
      file({
        on: SWITCH,
        disabled: { ...SWITCH, state: 'DISABLED' },
        open: { ...SWITCH, defaultVariant: null, targeting: {} },
        targeted: { ...SWITCH, defaultVariant: 'off', targeting: { if: [{ in: ['@example.org', { var: 'customer' }] }, 'on', null] } },
        word: { state: 'ENABLED', variants: { a: 'A' }, defaultVariant: 'a' },
        number: { state: 'ENABLED', variants: { a: 1 }, defaultVariant: 'a' },
        object: { state: 'ENABLED', variants: { a: { b: 1 } }, defaultVariant: 'a' },
      }),
    );
    await open();
    const { client } = flags;
    assert.equal(await flags.isOn('on', false), true);
    assert.equal(await flags.isOn('targeted', true), false);
    assert.equal(await flags.isOn('targeted', false, { customer: 'ada@example.org' }), true);
    assert.equal(await client.getStringValue('word', ''), 'A');
    assert.equal(await client.getNumberValue('number', 0), 1);
    assert.deepEqual(await client.getObjectValue('object', {}), { b: 1 });
    const reasons = [];
    for (const key of ['on', 'disabled', 'open', 'unknown', 'word']) {
      const { value, reason, errorCode } = await client.getBooleanDetails(key, false);
      reasons.push([key, value, reason, errorCode]);
    }
    assert.deepEqual(reasons, [
      ['on', true, 'STATIC', undefined],
      ['disabled', false, 'DISABLED', undefined],
      ['open', false, 'DEFAULT', undefined],
      ['unknown', false, 'ERROR', 'FLAG_NOT_FOUND'],
      ['word', false, 'ERROR', 'TYPE_MISMATCH'],
    ]);
  });

  it('change with the file', async () => {
    await write(file({ a: SWITCH, b: SWITCH }));
    await open();
    const changed = next(ProviderEvents.ConfigurationChanged);
    await write(file({ a: { ...SWITCH, defaultVariant: 'off' }, b: SWITCH }));
    assert.deepEqual((await changed).flagsChanged, ['a']);
    assert.equal(await flags.isOn('a', true), false);
    assert.deepEqual(last().flags, { a: 'off', b: 'on' });
  });

  it('stay when the file cannot be used, which is said', async () => {
    await write(file({ a: SWITCH }));
    await open();
    const stale = next(ProviderEvents.Stale);
    await write('{"flags":');
    await stale;
    assert.equal(await flags.isOn('a', false), true);
    assert.match(last().message, /cannot be read; the flags that were read before stay/);
    assert.equal(last().level, 'error');
    // And what mends it is taken.
    const changed = next(ProviderEvents.ConfigurationChanged);
    await write(file({ a: { ...SWITCH, defaultVariant: 'off' } }));
    await changed;
    assert.equal(await flags.isOn('a', true), false);
  });

  it('are what the code says until the file comes', async () => {
    await open();
    assert.equal(await flags.isOn('a', false), false);
    assert.match(last().message, /flags are what the code says/);
    const changed = next(ProviderEvents.ConfigurationChanged);
    await write(file({ a: SWITCH }));
    await changed;
    assert.equal(await flags.isOn('a', false), true);
  });

  it('do not come from a file without bounds', async () => {
    await write(file({}, { metadata: 'x'.repeat(2 ** 20) }));
    await open();
    assert.match(last().cause, /is larger than 1048576 bytes/);
  });
});
