// The times at which a page solves: an even grid, and a fine one after each dose, as a run keeps them.

import { decisionTimes } from "./rules.js";
import { occasions } from "./schedule.js";

const AFTER_DOSE_H = [2 / 60, 5 / 60, 10 / 60, 20 / 60, 30 / 60, 40 / 60, 50 / 60, 1, 4 / 3, 5 / 3, 2, 3, 4, 6, 8, 12, 18, 24];
const AFTER_DECISION_H = [40 / 60, 2]; // about when most is felt of a dose that a rule may have given
const MOST_FINE_DOSES = 12;

/** Hours of every dose and pulse of an arm, ascending, each once. @param {any} arm @param {any} units */
export function doseTimes(arm, units) {
  const all = [...(arm.doses ?? []), ...(arm.exposures ?? []).filter((/** @type {any} */ one) => one.at !== undefined && one.at !== null)];
  return [...new Set(all.flatMap((one) => occasions(one, units)))].sort((a, b) => a - b);
}

/**
 * Hours, ascending.
 * @param {any} study @param {string[]} arms @param {any} units @param {number} first @param {number} last @param {number} even points
 */
export function gridOf(study, arms, units, first, last, even = 150) {
  const step = [0.5, 1, 2, 4, 6, 8, 12, 24, 48, 168].find((one) => (last - first) / one <= even) ?? (last - first) / even;
  const times = [first, last, units.hours(study.start ?? "0 h")];
  for (let k = Math.ceil(first / step); k * step < last; k++) times.push(k * step);
  for (const text of [study.visits].flat()) times.push(units.hours(text));
  for (const name of arms) {
    let doses = doseTimes(study.arms[name], units);
    if (doses.length > MOST_FINE_DOSES) doses = [...doses.slice(0, MOST_FINE_DOSES / 2), ...doses.slice(-MOST_FINE_DOSES / 2)];
    for (const time of doses) times.push(time, ...AFTER_DOSE_H.map((after) => time + after));
    for (const time of decisionTimes(study, name, units, last)) times.push(time, ...AFTER_DECISION_H.map((after) => time + after));
  }
  const sorted = times.filter((time) => time >= first - 1e-9 && time <= last + 1e-9).sort((a, b) => a - b);
  return Float64Array.from(sorted.filter((time, k) => k === 0 || time - sorted[k - 1] > 1e-7));
}
