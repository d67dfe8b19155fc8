// What the page draws of a solved arm: outputs by name and scores, for one subject or as quantiles of many.

import { baselineOf, expectancy, scores } from "./scores.js";

/**
 * Curves of one solved subject by name, outputs first, then scales.
 * @param {any} model
 * @param {any} study
 * @param {any} arm
 * @param {any} person
 * @param {Float64Array} values (times, outputs) of this subject
 * @param {ArrayLike<number>} times
 * @param {{hope?: number, felt?: number}} traits how much the person gains from hope, and feels
 */
export function curvesOf(model, study, arm, person, values, times, traits = {}) {
  const { outputs, page, units } = model, width = outputs.length, curves = /** @type {Record<string, Float64Array>} */ ({});
  outputs.forEach((/** @type {string} */ name, /** @type {number} */ k) => {
    const curve = new Float64Array(times.length);
    for (let t = 0; t < times.length; t++) curve[t] = values[t * width + k];
    curves[name] = curve;
  });
  const start = nearest(times, units.hours(study.start ?? "0 h"));
  let gain = null;
  for (const [name, scale] of Object.entries(/** @type {Record<string, any>} */ (page.scales))) {
    const output = curves[scale.output], baseline = baselineOf(name, scale, person.covariates);
    if (!output || !Number.isFinite(baseline)) continue;
    if (scale.rule === "severity" && !gain) gain = expectancy(page, units, study, arm, times, felt(model, curves, traits), traits.hope ?? 1);
    curves[name] = scores(scale, output, baseline, output[start], gain);
  }
  return curves;
}

/** @param {any} model @param {Record<string, Float64Array>} curves @param {any} traits */
function felt(model, curves, traits) {
  const curve = curves[model.page.felt];
  if (!curve) return null;
  let most = 0;
  return curve.map((value) => (most = Math.max(most, (Number.isFinite(value) ? value : 0) * (traits.felt ?? 1))));
}

/**
 * Position of the time next to `wanted`.
 * @param {ArrayLike<number>} times ascending
 * @param {number} wanted
 */
export function nearest(times, wanted) {
  let low = 0, high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= wanted) low = middle;
    else high = middle;
  }
  return wanted - times[low] <= times[high] - wanted ? low : high;
}

/**
 * A curve's value at a time, on the line between its neighbours.
 * @param {ArrayLike<number>} times
 * @param {ArrayLike<number>} curve
 * @param {number} time
 */
export function valueAt(times, curve, time) {
  const k = nearest(times, time);
  const j = times[k] > time ? k - 1 : k + 1;
  if (j < 0 || j >= times.length || times[k] === time) return curve[k];
  return curve[k] + ((curve[j] - curve[k]) * (time - times[k])) / (times[j] - times[k]);
}

/**
 * Quantiles over people at each time.
 * @param {Float64Array[]} curves of each person
 * @param {number[]} wanted
 */
export function quantiles(curves, wanted) {
  const times = curves[0]?.length ?? 0, column = new Float64Array(curves.length);
  const found = wanted.map(() => new Float64Array(times));
  for (let t = 0; t < times; t++) {
    let n = 0;
    for (const curve of curves) if (Number.isFinite(curve[t])) column[n++] = curve[t];
    const sorted = column.subarray(0, n).sort();
    wanted.forEach((q, k) => {
      const at = q * (n - 1), below = Math.floor(at), above = Math.min(below + 1, n - 1);
      found[k][t] = n ? sorted[below] + (sorted[above] - sorted[below]) * (at - below) : NaN;
    });
  }
  return found;
}
