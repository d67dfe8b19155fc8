// The state of the model in a sentence, from the numbers alone.

import { occasions } from "./schedule.js";
import { shown, timeText } from "./units.js";

const SHARES = [[0.04, "hardly any"], [0.075, "a twentieth"], [0.13, "a tenth"], [0.18, "a sixth"], [0.225, "a fifth"], [0.29, "a quarter"], [0.37, "a third"], [0.45, "two fifths"], [0.55, "half"], [0.63, "three fifths"], [0.71, "two thirds"], [0.8, "three quarters"], [0.93, "nearly all"]];

/** @param {number} value */
export const percent = (value) => (Number.isFinite(value) ? `${Math.round(100 * value)}\u00a0%` : "–");

/** A share in words. @param {number} value */
export function share(value) {
  return SHARES.find(([most]) => value < Number(most))?.[1] ?? "all";
}

/** When it is on the study's clock. @param {any} state @param {number} hours */
export function clock(state, hours) {
  const since = hours - state.start, days = Math.floor(since / 24 + 1e-9);
  const rest = since - 24 * days;
  const time = `${String(Math.floor(rest + 1e-9)).padStart(2, "0")}:${String(Math.round((rest % 1) * 60) % 60).padStart(2, "0")}`;
  return `day ${String(days).replace("-", "−")}, ${time}`;
}

/**
 * @param {any} state
 * @param {string} arm name of a scenario
 * @param {(name: string, hours: number) => number} value of a curve of the scenario
 * @param {string} label of the scenario, empty where there is one alone
 */
export function sentence(state, arm, value, label) {
  const now = (/** @type {string} */ name) => value(name, state.cursor), parts = [when(state, arm)];
  const before = reference(state, arm);
  const then = (/** @type {string} */ name) => value(name, before);
  const has = (/** @type {string} */ name) => Number.isFinite(now(name));
  if (has("synapse_number")) {
    parts.push(`${parts[0] ? "" : "At this time "}connections stand at ${percent(now("synapse_number"))} of healthy`);
    const lost = 1 - then("synapse_number"), gained = now("synapse_number") - then("synapse_number");
    if (state.cursor > before + 1e-6 && lost > 0.02 && Math.abs(gained) > 0.003) {
      parts[parts.length - 1] += gained > 0 ? `: ${share(gained / lost)} of what was lost before the first treatment is back` : `: fewer than the ${percent(then("synapse_number"))} before the first treatment`;
    } else if (1 - now("synapse_number") < 0.005 && now("synapse_number") < 1.02) {
      parts[parts.length - 1] += ", none missing";
    }
  }
  const end = [];
  if (has("circuit")) end.push(`the circuit works at ${percent(now("circuit"))}`);
  if (has("symptom")) end.push(symptom(now("symptom"), then("symptom"), state.cursor > before + 1e-6));
  let text = parts.filter(Boolean).join(" ");
  if (end.length) text = text ? `${text}; ${end.join(" and ")}.` : `${end.join(" and ")}.`;
  if (!has("synapse_number") && !end.length) text = `${when(state, arm) || "Now"} ${state.page.scene.lookAt.filter(has).map((/** @type {string} */ name) => `${name} is ${shown(now(name))}`).join(", ")}.`;
  text = text.charAt(0).toUpperCase() + text.slice(1);
  return label ? `${label}: ${text}` : text;
}

/** @param {number} now @param {number} then @param {boolean} after */
function symptom(now, then, after) {
  const level = shown(now, 2);
  if (!after || Math.abs(now - then) < 0.005) return `the symptom is ${level} on its scale from 0 to 1`;
  return now < then ? `the symptom has fallen from ${shown(then, 2)} to ${level}` : `the symptom has risen from ${shown(then, 2)} to ${level}`;
}

/** Hours of the pulses of ECT in a scenario. @param {any} state @param {string} arm @returns {number[]} */
const pulsesOf = (state, arm) => (state.study.arms[arm].exposures ?? []).filter((/** @type {any} */ one) => one.exposure === "ect").flatMap((/** @type {any} */ one) => occasions(one, state.units));

/** The moment before the first treatment. @param {any} state @param {string} arm */
export function reference(state, arm) {
  const times = [...state.doseHours(arm), ...pulsesOf(state, arm)];
  return times.length ? Math.max(Math.min(...times), state.first) : state.start;
}

/** @param {any} state @param {string} arm */
function when(state, arm) {
  const doses = state.doseHours(arm), pulses = pulsesOf(state, arm);
  const what = doses.length ? "dose" : pulses.length ? "treatment" : "";
  const times = [...doses, ...pulses].sort((a, b) => a - b);
  if (!what || !times.length) return `${clock(state, state.cursor)}:`;
  const given = times.filter((time) => time < state.cursor - 1e-9).length;
  if (!given) return `${before(times[0] - state.cursor)} the first ${what},`;
  const ago = timeText(Math.round((state.cursor - times[given - 1]) * 10) / 10 || 0.1);
  return times.length > 1 ? `${ago} after ${what} ${given} of ${times.length},` : `${ago} after the ${what},`;
}

/** @param {number} hours */
const before = (hours) => (hours < 1e-6 ? "right before" : `${timeText(Math.round(hours * 10) / 10 || 0.1)} before`);
