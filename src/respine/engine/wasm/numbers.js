// Formulas of the model and of what all subjects share, evaluated as respine's Python does (model/expression.py,
// engine/codegen/program.py).

/** @typedef {["num", number] | ["sym", string] | ["time"] | [string, ...any[]]} Expression nested lists, the operator first */

/** @type {Record<string, (...x: any[]) => any>} */
const FUNCTIONS = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => (a === 1 || b === 0 ? 1 : a ** b),
  neg: (a) => -a,
  min: (a, b) => (a !== a || b !== b ? NaN : Math.min(a, b)),
  max: (a, b) => (a !== a || b !== b ? NaN : Math.max(a, b)),
  exp: Math.exp,
  ln: Math.log,
  sqrt: Math.sqrt,
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  and: (a, b) => Boolean(a) && Boolean(b),
  or: (a, b) => Boolean(a) || Boolean(b),
  xor: (a, b) => Boolean(a) !== Boolean(b),
  not: (a) => !a,
  // of the compiler's graph
  reciprocal: (a) => 1 / a,
  exp2: (a) => 2 ** a,
  log2: Math.log2,
  select: (mask, a, b) => (mask ? a : b),
  true: () => true,
  false: () => false,
};

/**
 * The value of a formula.
 * @param {Expression} expression
 * @param {Record<string, number>} values of its symbols
 * @param {number} time
 * @returns {number}
 */
export function evaluate(expression, values, time = NaN) {
  const [op, ...parts] = expression;
  if (op === "num") return parts[0];
  if (op === "time") return time;
  if (op === "sym") {
    const value = values[parts[0]];
    if (value === undefined) throw new Error(`a formula names ${parts[0]}, which has no value`);
    return value;
  }
  if (op === "if") return evaluate(parts[0], values, time) ? evaluate(parts[1], values, time) : evaluate(parts[2], values, time);
  return Number(FUNCTIONS[op](...parts.map((part) => evaluate(part, values, time))));
}

/**
 * The numbers that all subjects share, for one set of values of the parameters.
 * @param {any[][]} formulas `uniform` of a module's description
 * @param {Record<string, number>} values
 * @returns {Float64Array}
 */
export function uniformNumbers(formulas, values) {
  /** @type {any[]} */
  const known = [];
  /** @type {number[]} */
  const result = [];
  for (const [op, ...parts] of formulas) {
    if (op === "slot") result[parts[0]] = known[parts[1]];
    else if (op === "const") known.push(constant(parts[0]));
    else if (op === "uniform") known.push(values[parts[0]] ?? (parts[0].startsWith("#zero ") ? values["#zero"] : NaN));
    else known.push(FUNCTIONS[op](...parts.map((part) => known[part])));
  }
  return Float64Array.from(result);
}

/** @param {number | string} value a number, or a word for one that JSON does not know */
function constant(value) {
  if (typeof value === "number") return value;
  return value === "inf" ? Infinity : value === "-inf" ? -Infinity : NaN;
}
