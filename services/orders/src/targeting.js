// What a file of flags says, checked whole, and the rules in it (https://flagd.dev/reference/flag-definitions): JsonLogic's
// operations that flags mostly need. A rule with another one is refused and not guessed at.

const OPERATIONS = {
  '==': ([left, right]) => left === right,
  '===': ([left, right]) => left === right,
  '!=': ([left, right]) => left !== right,
  '!==': ([left, right]) => left !== right,
  '<': ([left, right]) => left < right,
  '<=': ([left, right]) => left <= right,
  '>': ([left, right]) => left > right,
  '>=': ([left, right]) => left >= right,
  '!': ([value]) => !value,
  and: (values) => values.every(Boolean),
  or: (values) => values.some(Boolean),
  in: ([needle, hay]) => (typeof hay === 'string' || Array.isArray(hay)) && hay.includes(needle),
  starts_with: ([text, start]) => typeof text === 'string' && text.startsWith(start),
  ends_with: ([text, end]) => typeof text === 'string' && text.endsWith(end),
};
const FLAG_KEYS = ['state', 'variants', 'defaultVariant', 'targeting', 'metadata'];
const RULE_DEPTH_MAX = 20;

// The flags by key: `{type, state, variants, defaultVariant, targeting}`. Throws with every mistake and where it is.
export function parse(text) {
  const document = JSON.parse(text);
  const errors = [];
  const wrong = (place, message) => errors.push(`${place}: ${message}`);
  if (!isObject(document) || !isObject(document.flags)) throw new Error('flags: must be an object');
  for (const key of Object.keys(document)) {
    if (!['$schema', 'flags', 'metadata'].includes(key)) wrong(key, 'is not known here');
  }
  const flags = new Map(Object.entries(document.flags).map(([key, flag]) => [key, read(flag, `flags.${key}`, wrong)]));
  if (errors.length > 0) throw new Error(errors.join('; '));
  return flags;
}

function read(flag, place, wrong) {
  if (!isObject(flag)) {
    wrong(place, 'must be an object');
    return undefined;
  }
  const { state, variants, defaultVariant = null, targeting } = flag;
  for (const key of Object.keys(flag)) {
    if (!FLAG_KEYS.includes(key)) wrong(`${place}.${key}`, 'is not known');
  }
  if (!['ENABLED', 'DISABLED'].includes(state)) wrong(`${place}.state`, 'must be ENABLED or DISABLED');
  const types = isObject(variants) ? new Set(Object.values(variants).map((value) => typeof value)) : new Set();
  if (types.size !== 1) wrong(`${place}.variants`, 'must be an object with values of one type');
  const names = isObject(variants) ? Object.keys(variants) : [];
  if (defaultVariant !== null && !names.includes(defaultVariant)) {
    wrong(`${place}.defaultVariant`, `must be one of ${names.join(', ')}`);
  }
  const rule = isObject(targeting) && Object.keys(targeting).length === 0 ? undefined : targeting;
  if (rule !== undefined) check(rule, `${place}.targeting`, wrong, RULE_DEPTH_MAX);
  return { type: [...types][0], state, variants, defaultVariant, targeting: rule };
}

function check(rule, place, wrong, depth) {
  if (depth === 0) {
    wrong(place, 'is nested too deeply');
  } else if (Array.isArray(rule)) {
    rule.forEach((part, index) => check(part, `${place}[${index}]`, wrong, depth - 1));
  } else if (isObject(rule)) {
    const [name, ...more] = Object.keys(rule);
    if (more.length > 0 || !(name in OPERATIONS || name === 'if' || name === 'var')) {
      wrong(place, `has ${[name, ...more].join(', ')}, where one of var, if, ${Object.keys(OPERATIONS).join(', ')} may stand`);
    } else {
      check(rule[name], `${place}.${name}`, wrong, depth - 1);
    }
  }
}

// What a rule says of a context.
export function evaluate(rule, context) {
  if (Array.isArray(rule)) return rule.map((part) => evaluate(part, context));
  if (!isObject(rule)) return rule;
  const [[name, given]] = Object.entries(rule);
  const values = Array.isArray(given) ? given : [given];
  if (name === 'if') return choose(values, context);
  const evaluated = values.map((value) => evaluate(value, context));
  return name === 'var' ? look(context, evaluated) : OPERATIONS[name](evaluated);
}

// `[condition, value, condition, value, otherwise]`.
function choose([condition, value, ...rest], context) {
  if (evaluate(condition, context)) return evaluate(value, context);
  if (rest.length === 0) return null;
  return rest.length === 1 ? evaluate(rest[0], context) : choose(rest, context);
}

function look(context, [path, otherwise = null]) {
  const found = String(path)
    .split('.')
    .reduce((value, part) => (isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined), context);
  return found ?? otherwise;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
