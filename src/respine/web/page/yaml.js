// A study as the YAML text of a study file: short maps on one line, everything else as blocks.

const PLAIN = /^[A-Za-z_][\w ./%()+-]*$/;
const WORDS = new Set(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", ""]);

/** @param {any} study */
export function yaml(study) {
  return Object.entries(study).map(([key, value]) => entry(key, value, "")).join("");
}

/** @param {string} key @param {any} value @param {string} indent @returns {string} */
function entry(key, value, indent) {
  const name = scalar(key);
  const flow = inline(value);
  if (flow !== null && (indent.length + name.length + flow.length < 110 || typeof value !== "object")) return `${indent}${name}: ${flow}\n`;
  if (Array.isArray(value)) return `${indent}${name}:\n${value.map((item) => `${indent}  - ${inline(item)}\n`).join("")}`;
  return `${indent}${name}:\n${Object.entries(value).map(([k, v]) => entry(k, v, `${indent}  `)).join("")}`;
}

/** @param {any} value @returns {string} */
function inline(value) {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${scalar(k)}: ${inline(v)}`).join(", ")}}`;
  return scalar(value);
}

/** @param {any} value */
function scalar(value) {
  if (value === null || value === undefined) return "null";
  if (typeof value !== "string") return String(value);
  return (PLAIN.test(value) && !WORDS.has(value.toLowerCase()) && value.trim() === value) || /^-?[\d.]+ ?[A-Za-z%/]+$/.test(value) ? value : JSON.stringify(value);
}
