// Scores of scales from outputs, and expectancy: the same rules as trial/observe.py and trial/expectancy.py, without error.

import { occasions } from "./schedule.js";

const FLOOR = 0.1; // of a scale whose file gives none

/**
 * Scores over time of one subject.
 * @param {any} scale
 * @param {ArrayLike<number>} output
 * @param {number} baseline score at the first visit
 * @param {number} first output at the first visit
 * @param {ArrayLike<number> | null} gain strength of expectancy at the times
 * @param {number} sensitivity of the person, 1 for the mean
 */
export function scores(scale, output, baseline, first, gain, sensitivity = 1) {
  const n = scale.numbers, found = new Float64Array(output.length);
  for (let k = 0; k < output.length; k++) {
    if (scale.rule === "level") {
      found[k] = (n.background ?? 0) + n.gain * sensitivity * output[k];
    } else if (scale.rule === "rise") {
      found[k] = baseline + n.gain * (output[k] - first);
    } else {
      const healthy = n.output_healthy ?? 0;
      const distance = Math.max(Math.abs(first - healthy), n.severity_floor ?? FLOOR);
      let severity = Math.max(1 + ((output[k] - first) * (first >= healthy ? 1 : -1)) / distance, 0);
      if (scale.rule === "severity" && gain) severity *= Math.exp(-gain[k]);
      const floor = Math.min(n.healthy, baseline);
      found[k] = floor + (baseline - floor) * severity ** n.power;
    }
    found[k] = Math.min(Math.max(found[k], scale.low), scale.high);
  }
  return found;
}

/**
 * Score at the first visit: the population's, converted from another scale's, or the scale file's; NaN where nobody says.
 * @param {string} name
 * @param {any} scale
 * @param {Record<string, any>} covariates
 */
export function baselineOf(name, scale, covariates) {
  const plain = (/** @type {string} */ text) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const own = (/** @type {string} */ wanted) =>
    Object.entries(covariates).find(([key]) => plain(key) === plain(`baseline_${wanted}`))?.[1];
  for (const one of [name, ...scale.aliases]) {
    const value = own(one);
    if (typeof value === "number") return clip(value, scale);
  }
  if (scale.conversion) {
    const other = own(scale.conversion.scale);
    if (typeof other === "number") return clip(onLine(other, scale.conversion.from, scale.conversion.to), scale);
  }
  return scale.numbers.baseline_mean === undefined ? NaN : clip(scale.numbers.baseline_mean, scale);
}

/** @param {number} value @param {any} scale */
const clip = (value, scale) => Math.min(Math.max(value, scale.low), scale.high);

/** @param {number} x @param {number[]} xs @param {number[]} ys */
function onLine(x, xs, ys) {
  if (x <= xs[0]) return ys[0];
  for (let k = 1; k < xs.length; k++) {
    if (x <= xs[k]) return ys[k - 1] + ((ys[k] - ys[k - 1]) * (x - xs[k - 1])) / (xs[k] - xs[k - 1]);
  }
  return ys[ys.length - 1];
}

/**
 * Strength of expectancy at each time; it begins at the study's start.
 * @param {any} page
 * @param {any} units
 * @param {any} study
 * @param {any} arm
 * @param {ArrayLike<number>} times
 * @param {ArrayLike<number> | null} felt strongest drug effect felt up to each time, points
 * @param {number} person how much this person gains, 1 for the mean
 */
export function expectancy(page, units, study, arm, times, felt, person = 1) {
  const { numbers } = page.expectancy, start = units.hours(study.start ?? "0 h");
  const belief = beliefIn(page, study, arm), procedures = procedureTimes(page, units, study, arm);
  const open = beginsAntidepressant(page, units, study, arm, start), certain = Number(Object.values(page.expectancy.belief["open-label"] ?? { none: 1 })[0]);
  const found = new Float64Array(times.length);
  for (let k = 0; k < times.length; k++) {
    const since = Math.max(times[k] - start, 0);
    const course = -numbers.course * Math.expm1(-since / numbers.course_time);
    let procedure = 0, last = -Infinity;
    for (const time of procedures) if (time < times[k]) last = Math.max(last, time);
    if (last > -Infinity) {
      const after = times[k] - last, onset = -Math.expm1(-after / numbers.acute_onset);
      procedure = onset * (numbers.acute * Math.exp(-after / numbers.acute_time) + numbers.sustained * Math.exp(-after / numbers.sustained_time));
    }
    const believed = belief(felt ? felt[k] : 0), hope = open ? Math.max(believed, certain) : believed;
    found[k] = person * (believed * procedure + hope * course + unasked(numbers, study.care ?? {}, since));
  }
  return found;
}

/**
 * What comes whatever people believe: the natural course, a ward, more contacts than one a week.
 * @param {any} numbers @param {any} care @param {number} since hours since the baseline
 */
function unasked(numbers, care, since) {
  let found = -numbers.natural * Math.expm1(-since / numbers.natural_time);
  if (care.admission) found -= numbers.care_admission * Math.expm1(-since / numbers.care_admission_time);
  const more = Math.max((care.visits_per_week ?? 1) - 1, 0);
  return found - numbers.care_visits * more * Math.expm1(-since / numbers.course_time);
}

/**
 * Whether people openly begin an antidepressant beside the treatment of their arm, at the baseline or later.
 * @param {any} page @param {any} units @param {any} study @param {any} arm @param {number} start
 */
function beginsAntidepressant(page, units, study, arm, start) {
  if (typeof study.care?.new_antidepressant === "boolean") return study.care.new_antidepressant;
  return (arm.co_medication ?? []).some((/** @type {any} */ one) =>
    page.expectancy.antidepressants.includes(one.drug) && Math.min(...[one.at].flat().map((t) => units.hours(t))) >= start - 24);
}

/** @param {any} page @param {any} units @param {any} study @param {any} arm @returns {number[]} */
function procedureTimes(page, units, study, arm) {
  const own = ownProcedures(page, units, arm), byRule = (arm.ruledRoutes ?? []).some((/** @type {string} */ route) => page.expectancy.procedureRoutes.includes(route));
  if (own.length || byRule || !["inactive-placebo", "active-placebo"].includes(arm.control?.kind)) return own;
  for (const other of Object.values(study.arms)) {
    const times = ownProcedures(page, units, other);
    if (times.length) return times;
  }
  return [];
}

/** @param {any} page @param {any} units @param {any} arm @returns {number[]} */
function ownProcedures(page, units, arm) {
  const { procedureRoutes, procedureExposures } = page.expectancy;
  return [
    ...(arm.doses ?? []).filter((/** @type {any} */ one) => procedureRoutes.includes(one.route)),
    ...(arm.exposures ?? []).filter((/** @type {any} */ one) => procedureExposures.includes(one.exposure) && one.at !== undefined),
  ].flatMap((one) => occasions(one, units));
}

/** @param {any} page @param {any} study @param {any} arm @returns {(felt: number) => number} */
function beliefIn(page, study, arm) {
  const { numbers, belief, treatmentExposures } = page.expectancy;
  const treated = (arm.doses ?? []).length > 0 || (arm.ruledRoutes ?? []).length > 0 || (arm.exposures ?? []).some((/** @type {any} */ e) => treatmentExposures.includes(e.exposure));
  let kind = arm.control?.kind;
  if (!kind && study.design === "single-arm" && treated) kind = "open-label";
  if (kind) {
    const table = belief[kind] ?? {}, level = table[arm.control?.unblinding ?? "none"] ?? Object.values(table)[0] ?? 0;
    return () => level;
  }
  if (!treated) return () => 0;
  const prior = numbers.belief_blinded;
  return (felt) => prior + ((1 - prior) * Math.max(felt, 0)) / (Math.max(felt, 0) + numbers.belief_felt_half);
}
