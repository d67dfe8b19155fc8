// From an arm of a study to the events of a subject: every dose, infusion, exposure and the history, in the engine's terms.
// The same rules as protocol/schedule.py, protocol/timeline.py and protocol/doses.py; a test holds the two together.

import { evaluate } from "./numbers.js";

const DIGITS = 1e9; // of an hour, as timeline.py
const SHORTEST = 1e-12; // infusions shorter than that are given at once

/** @param {number} hours */
const rounded = (hours) => (Number.isFinite(hours) ? Math.round(hours * DIGITS) / DIGITS : hours);

/**
 * Hours of every occasion of a dose or exposure, in the order of time.
 * @param {any} one
 * @param {any} units
 * @returns {number[]}
 */
export function occasions(one, units) {
  const at = (one.at === undefined || one.at === null ? [] : [one.at].flat()).map((text) => units.hours(text));
  if (!one.every || !at.length) return at.sort((a, b) => a - b);
  const every = units.hours(one.every);
  const times = one.times ?? Math.floor((units.hours(one.until) - at[0]) / every + 1e-9) + 1;
  return Array.from({ length: Math.max(0, times) }, (_, k) => rounded(at[0] + every * k));
}

/**
 * Hours at which the story of everybody begins.
 * @param {any} study
 * @param {any} people
 * @param {any} units
 */
export function begins(study, people, units) {
  const start = units.hours(study.start ?? "0 h");
  const times = [start, units.hours([study.visits].flat()[0]), start - people.runIn];
  for (const arm of Object.values(/** @type {Record<string, any>} */ (study.arms))) {
    for (const dose of [...(arm.doses ?? []), ...(arm.co_medication ?? [])]) times.push(...[dose.at].flat().map((t) => units.hours(t)));
    for (const one of arm.exposures ?? []) {
      if (one.at !== undefined && one.at !== null) times.push(...[one.at].flat().map((t) => units.hours(t)));
      if (one.from !== undefined && one.from !== null) times.push(units.hours(one.from));
    }
  }
  return Math.min(...times);
}

/** What holds one input, and the value it has by itself. */
class Timeline {
  /** @param {number} base */
  constructor(base) {
    this.base = base;
    /** @type {number[][]} */
    this.holds = [];
    /** @type {number[][]} */
    this.history = [];
    this.takenOver = Infinity;
  }

  /** @returns {[number, number][]} time and value of every change */
  changes() {
    const holds = [...this.holds, ...this.history.map(([begin, end, level]) => [begin, Math.min(end, rounded(this.takenOver)), level])];
    const times = [...new Set(holds.flatMap(([begin, end]) => [begin, end]))].sort((a, b) => a - b);
    const changes = /** @type {[number, number][]} */ ([]);
    let before = this.base;
    for (const time of times) {
      if (!Number.isFinite(time)) continue;
      let value = -Infinity;
      for (const [begin, end, level] of holds) if (time >= begin && time < end) value = Math.max(value, level);
      if (value === -Infinity) value = this.base;
      if (value !== before) changes.push([time, value]);
      before = value;
    }
    return changes;
  }
}

/** One arm for one subject on its way into events. */
export class Schedule {
  /**
   * @param {any} page what the page holds
   * @param {any} units
   * @param {any} study
   * @param {any} arm
   * @param {{covariates: Record<string, any>, values: Record<string, number>}} person
   */
  constructor(page, units, study, arm, person) {
    this.page = page;
    this.units = units;
    this.study = study;
    this.person = person;
    /** @type {{time: number, kind: string, target: string, value: number, of?: object}[]} */
    this.events = [];
    /** @type {Map<string, Timeline>} */
    this.timelines = new Map();
    this.history();
    for (const dose of [...(arm.doses ?? []), ...(arm.co_medication ?? [])]) this.dose(dose);
    for (const one of arm.exposures ?? []) this.exposure(one);
    for (const [input, line] of this.timelines) {
      for (const [time, value] of line.changes()) this.events.push({ time, kind: "SET_SLOW", target: input, value });
    }
    this.events.sort((a, b) => a.time - b.time);
    this.sumRates();
  }

  /** @param {string} input */
  timeline(input) {
    const base = this.page.model.inputs[input];
    if (base === undefined) throw new Error(`the ${this.page.model.name} model has no input ${input}`);
    const known = this.timelines.get(input) ?? new Timeline(base);
    this.timelines.set(input, known);
    return known;
  }

  history() {
    const start = this.units.hours(this.study.start ?? "0 h"), own = this.person.covariates;
    for (const phase of this.page.people.history) {
      const lasts = own[`history_h${phase.suffix}`];
      const end = phase.until === null ? Infinity : start + phase.until;
      for (const input of phase.inputs) {
        this.timeline(input).history.push([rounded(start - lasts), rounded(end), own[`history_${input}${phase.suffix}`]]);
      }
    }
  }

  /** @param {any} one */
  exposure(one) {
    const file = this.page.treatments.exposures[named(this.page.treatments.exposures, one.exposure)];
    if (!file) throw new Error(`there is no exposure ${one.exposure} for this model`);
    for (const [input, value] of Object.entries(/** @type {Record<string, number>} */ (file.sets))) {
      const line = this.timeline(input), level = value * (one.level ?? 1);
      if (file.kind === "level") {
        const begin = this.units.hours(one.from);
        line.takenOver = Math.min(line.takenOver, begin);
        line.holds.push([rounded(begin), one.until ? rounded(this.units.hours(one.until)) : Infinity, level]);
        continue;
      }
      const lasts = one.lasts ? this.units.hours(one.lasts) : file.lasts;
      for (const time of occasions(one, this.units)) line.holds.push([rounded(time), rounded(time + lasts), level]);
    }
  }

  /** @param {any} one */
  dose(one) {
    const route = this.route(one), given = this.amount(one);
    const first = route.dose[0]?.unit;
    const values = { ...this.person.values, dose: first ? this.inUnit(given, first) : given.value };
    const { count, apart } = this.sprays(one, route);
    const over = one.over ? this.units.hours(one.over) : route.over ? route.over.default : 0;
    for (const time of occasions(one, this.units)) {
      for (const into of route.into) {
        const amount = this.inStateUnit(into.state, given) / count;
        const duration = into.duration === null ? over : evaluate(into.duration, values);
        const lag = evaluate(into.lag, values);
        for (let k = 0; k < count; k++) {
          const share = evaluate(k === 0 || into.later === null ? into.fraction : into.later, values);
          this.portion(into.state, time + k * apart + lag, amount * share, duration);
        }
      }
      for (const sets of route.sets) {
        this.timeline(sets.input).holds.push(
          [rounded(time), rounded(time + evaluate(sets.lasts, values)), evaluate(sets.level, values)]);
      }
    }
  }

  /** @param {any} one */
  route(one) {
    if (one.into) return { dose: [], over: { default: 0 }, spray: null, sets: [], into: [{ state: one.into, fraction: ["num", 1], later: null, lag: ["num", 0], duration: null }] };
    const drug = this.page.treatments.drugs[named(this.page.treatments.drugs, one.drug)];
    const route = drug?.routes[one.route];
    if (!route) throw new Error(`${one.drug} cannot be given ${one.route} in this model`);
    return route;
  }

  /** @param {any} one */
  amount(one) {
    const text = one.amount ?? one["per-spray"];
    if (!text) return { value: 0, unit: "mg" };
    const count = one.amount ? 1 : (one.sprays ?? 1);
    const { value, unit } = this.units.amount(text);
    if (!unit.endsWith("/kg")) return { value: value * count, unit };
    return { value: value * count * this.person.covariates.weight_kg, unit: unit.slice(0, -3) };
  }

  /** @param {any} one @param {any} route */
  sprays(one, route) {
    if (!route.spray) return { count: 1, apart: 0 };
    const apart = one.apart ? this.units.hours(one.apart) : route.spray.apart;
    if (one.sprays) return { count: one.sprays, apart };
    if (!one.amount) return { count: 1, apart };
    const per = one["per-spray"] ? this.units.amount(one["per-spray"]).value : route.spray.value;
    return { count: Math.max(1, Math.ceil(this.units.amount(one.amount).value / per - 1e-9)), apart };
  }

  /** @param {{value: number, unit: string}} given @param {string} unit */
  inUnit(given, unit) {
    const [name, factor] = this.units.canonical(unit);
    const perWeight = name.endsWith("/kg"), base = perWeight ? name.slice(0, -3) : name;
    if (base !== given.unit) return given.value;
    return given.value / factor / (perWeight ? this.person.covariates.weight_kg : 1);
  }

  /** @param {string} state @param {{value: number, unit: string}} given */
  inStateUnit(state, given) {
    const unit = this.page.treatments.stateUnits[state];
    return unit && unit[0] === given.unit ? given.value / unit[1] : given.value;
  }

  /** @param {string} state @param {number} time @param {number} amount @param {number} duration */
  portion(state, time, amount, duration) {
    if (!(amount !== 0)) return;
    if (!(duration > SHORTEST)) {
      this.events.push({ time, kind: "ADD_STATE", target: state, value: amount });
      return;
    }
    const of = {};
    this.events.push({ time, kind: "SET_RATE", target: state, value: amount / duration, of });
    this.events.push({ time: time + duration, kind: "SET_RATE", target: state, value: 0, of });
  }

  /** At each start and end of an infusion the rate that flows in all. */
  sumRates() {
    /** @type {Map<string, Map<object, number>>} */
    const running = new Map();
    for (const event of this.events) {
      if (event.kind !== "SET_RATE" || !event.of) continue;
      const into = running.get(event.target) ?? new Map();
      running.set(event.target, into);
      if (into.has(event.of)) into.delete(event.of);
      else into.set(event.of, event.value);
      event.value = [...into.values()].reduce((sum, rate) => sum + rate, 0);
    }
  }
}

/**
 * The file a name or alias means.
 * @param {Record<string, any>} files
 * @param {string} name
 */
export function named(files, name) {
  if (name in files) return name;
  return Object.keys(files).find((key) => files[key].aliases?.includes(name)) ?? name;
}
