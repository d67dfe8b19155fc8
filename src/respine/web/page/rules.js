// Rules of a study (doses as needed, holds, courses) for one subject: the same as protocol/decisions.py and protocol/rule_doses.py
// decide, a test holds the two together. Scores are read here without a rater's error; a run reads them with it.

import { curvesOf, nearest } from "./results.js";
import { occasions } from "./schedule.js";

const SAME_H = 1e-9;
const EVERY = /** @type {Record<string, number>} */ ({ daily: 24, weekly: 168 });
const MOST_SOLVES = 400; // of one subject

/** @param {number} hours */
const rounded = (hours) => Math.round(hours * 1e9) / 1e9;

/** The rules that act in an arm, in the order of the file. @param {any} study @param {string} name @returns {any[]} */
export const rulesOf = (study, name) => (study.rules ?? []).filter((/** @type {any} */ rule) => !rule.arms?.length || [rule.arms].flat().includes(name));

/** A condition and those joined to it by "and". @param {any} condition @returns {any[]} */
const chain = (condition) => (condition ? [condition, ...chain(condition.and)] : []);

/** Routes by which rules could give a dose in an arm. @param {any} study @param {string} name @returns {string[]} */
export const ruledRoutes = (study, name) => rulesOf(study, name).flatMap((rule) => [rule.then.dose, rule.then.start].filter(Boolean).map((one) => one.route));

/** The visits of a study as far as `last`, which is one of them. @param {any} study @param {any} units @param {number} last @returns {number[]} */
function visitsOf(study, units, last) {
  const visits = [study.visits].flat().map((text) => units.hours(text)).filter((time) => time <= last + SAME_H);
  return visits.some((time) => Math.abs(time - last) <= SAME_H) ? visits : [...visits, last];
}

/** Hours at which a kind of visit falls. @param {any} study @param {any} units @param {number} last @param {string} visit @returns {number[]} */
function timesOf(study, units, last, visit) {
  const start = units.hours(study.start ?? "0 h"), visits = [start, ...visitsOf(study, units, last).filter((time) => time >= start)];
  if (visit === "every") return visits;
  if (!(visit in EVERY)) return [units.hours(visit)].filter((time) => time <= last + SAME_H);
  const steps = Math.floor((last - start) / EVERY[visit] + SAME_H);
  return Array.from({ length: steps + 1 }, (_, k) => {
    const time = rounded(start + EVERY[visit] * k);
    return visits.find((one) => Math.abs(one - time) <= SAME_H) ?? time;
  });
}

/** Hours, ascending, at which some rule of an arm is asked. @param {any} study @param {string} name @param {any} units @param {number} last @returns {number[]} */
export function decisionTimes(study, name, units, last) {
  const times = rulesOf(study, name).flatMap((rule) => {
    const named = chain(rule.when).map((part) => part.visit).filter((visit) => visit !== undefined && visit !== null);
    return (named.length ? named : ["every"]).flatMap((visit) => timesOf(study, units, last, visit));
  }).sort((a, b) => a - b);
  return times.filter((time, k) => k === 0 || time - times[k - 1] > SAME_H);
}

/** A rule's dose as a dose of an arm, at an hour. @param {any} written @param {number} time */
const given = (written, time) => Object.fromEntries(Object.entries({ ...written, at: `${time} h`, every: undefined, times: undefined, until: undefined }).filter(([, value]) => value !== undefined && value !== null));

/** What the rules of an arm decide for one subject. */
export class Decisions {
  /** @param {any} study @param {string} name of the arm @param {any} units @param {number} last hour shown */
  constructor(study, name, units, last) {
    this.study = study;
    this.units = units;
    this.last = last;
    this.times = decisionTimes(study, name, units, last);
    const turn = (/** @type {any} */ rule) => {
      const gives = rule.then.dose || rule.then.start, holds = rule.then.hold || rule.then.stop;
      return holds && !gives ? 0 : holds ? 1 : 2;
    };
    this.rules = rulesOf(study, name).map((rule, k) => ({ rule, k })).sort((a, b) => turn(a.rule) - turn(b.rule) || a.k - b.k).map(({ rule }) => rule);
    this.asked = new Map(this.rules.map((rule) => [rule.name, this.times.filter((time) => chain(rule.when).every((part) =>
      !part.visit || timesOf(study, units, last, part.visit).some((one) => Math.abs(one - time) <= SAME_H)))]));
    /** @type {Map<string, {written: any, began: number, due: number, running: boolean}>} */
    this.courses = new Map(this.rules.filter((rule) => rule.then.start).map((rule) => [rule.name, { written: rule.then.start, began: NaN, due: 0, running: false }]));
    /** @type {Record<string, number>} */
    this.held = {};
    this.stopped = new Set();
    /** @type {{rule: string, time: number, dose: any}[]} */
    this.given = [];
  }

  /**
   * Let every rule act that is asked at this hour.
   * @param {number} time
   * @param {(scale: string) => {now: number, baseline: number}} seen
   * @param {number[]} scheduled hours of the doses that are given anyway
   */
  decide(time, seen, scheduled) {
    for (const rule of this.rules) {
      if (!this.asked.get(rule.name)?.includes(time)) continue;
      const ago = time - this.lastDose(time, scheduled);
      if (this.stopped.has(rule.name) || !this.holds(rule, seen, ago) || time < (this.held[rule.name] ?? -Infinity) - SAME_H) continue;
      const { then } = rule;
      if (then.stop) {
        this.stopped.add(then.stop);
        const course = this.courses.get(then.stop);
        if (course) course.running = false;
      }
      if (then.hold) this.held[then.hold] = Math.max(this.held[then.hold] ?? -Infinity, time + this.units.hours(then.for));
      if (then.dose && this.allowed(rule, time)) this.give(rule, then.dose, time);
      const course = this.courses.get(rule.name);
      if (course && !course.running && !(course.written.until && time > this.units.hours(course.written.until))) Object.assign(course, { began: time, due: 0, running: true });
    }
  }

  /** Give what courses have due from `time` on and before `until`. @param {number} time @param {number} until */
  giveUntil(time, until) {
    for (const rule of this.rules) {
      const course = this.courses.get(rule.name);
      while (course && this.next(course) < until - SAME_H) {
        const at = Math.max(this.next(course), time);
        if (!(at < (this.held[rule.name] ?? -Infinity) - SAME_H) && this.allowed(rule, at)) this.give(rule, course.written, at);
        course.due++;
        const { written } = course, end = written.until ? Math.min(this.last, this.units.hours(written.until)) : this.last;
        const most = written.every ? (written.times ?? Infinity) : 1;
        course.running = course.running && course.due < most && this.next(course) <= end + SAME_H;
      }
    }
  }

  /** @param {any} course */
  next(course) {
    return course.running ? rounded(course.began + (course.written.every ? this.units.hours(course.written.every) : 0) * course.due) : Infinity;
  }

  /** @param {any} rule @param {any} written @param {number} time */
  give(rule, written, time) {
    this.given.push({ rule: rule.name, time, dose: given(written, time) });
  }

  /** Whether the limits of a rule allow a dose. @param {any} rule @param {number} time */
  allowed(rule, time) {
    const limit = rule.limit ?? {}, own = this.given.filter((one) => one.rule === rule.name);
    const within = (/** @type {number} */ span) => own.filter((one) => one.time > time - span + SAME_H).length;
    return !(own.length >= (limit.total ?? Infinity) || within(24) >= (limit["per-day"] ?? Infinity) || within(168) >= (limit["per-week"] ?? Infinity));
  }

  /** @param {number} time @param {number[]} scheduled */
  lastDose(time, scheduled) {
    const before = [...scheduled.filter((one) => one <= time + SAME_H), ...this.given.map((one) => one.time)];
    for (const [name, course] of this.courses) if (this.next(course) <= time + SAME_H && !(time < (this.held[name] ?? -Infinity) - SAME_H)) before.push(time);
    return Math.max(-Infinity, ...before);
  }

  /** @param {any} rule @param {(scale: string) => {now: number, baseline: number}} seen @param {number} ago hours since the last dose */
  holds(rule, seen, ago) {
    return chain(rule.when).every((part) => {
      const last = part["last-dose"] ?? {};
      if (last["longer-ago-than"] && !(ago > this.units.hours(last["longer-ago-than"]) + SAME_H)) return false;
      if (last["less-ago-than"] && !(ago < this.units.hours(last["less-ago-than"]) - SAME_H)) return false;
      if (part.on && !this.courses.get(part.on)?.running) return false;
      if (!part.scale) return true;
      const { now, baseline } = seen(part.scale), fall = baseline > 0 ? (baseline - now) / baseline : NaN;
      return !((number(part.above) !== null && !(now > number(part.above))) || (number(part.below) !== null && !(now < number(part.below))) ||
        (number(part["change-less-than"]) !== null && !(fall < number(part["change-less-than"]))) ||
        (number(part["change-more-than"]) !== null && !(fall > number(part["change-more-than"]))));
    });
  }
}

/** A threshold or share as a number, null where there is none. @param {any} value @returns {any} */
function number(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "number") return value;
  const found = parseFloat(value);
  return String(value).trim().endsWith("%") ? found / 100 : found;
}

/**
 * Subjects solved with the rules of their arms at work: solved anew after each dose that a rule gives.
 * @param {any} model
 * @param {any} study
 * @param {{name: string, arm: any, person: any, traits?: any}[]} subjects
 * @param {ArrayLike<number>} times hours; the decision times are among them
 * @returns {{solution: any, subjects: any[], given: {rule: string, time: number}[][], curves: (s: number) => Record<string, Float64Array>}}
 */
export function solveWithRules(model, study, subjects, times) {
  const last = times[times.length - 1], size = times.length * model.outputs.length;
  const known = subjects.map((one) => ({ ...one, arm: { ...one.arm, ruledRoutes: ruledRoutes(study, one.name) } }));
  const solution = model.solve(study, known, times);
  const curves = (/** @type {number} */ s) => curvesOf(model, study, known[s].arm, known[s].person, solution.values.subarray(s * size, (s + 1) * size), times, known[s].traits);
  const walks = known.map((one, s) => (rulesOf(study, one.name).length ? { s, k: 0, decisions: new Decisions(study, one.name, model.units, last), scheduled: (one.arm.doses ?? []).flatMap((/** @type {any} */ dose) => occasions(dose, model.units)) } : null));
  for (let solves = 0; solves < MOST_SOLVES; solves++) {
    const fresh = walks.filter((walk) => walk && solution.status[walk.s] === 0 && advance(walk, curves(walk.s), model, study, times));
    if (!fresh.length) break;
    for (const walk of fresh) {
      const { s, decisions } = /** @type {any} */ (walk);
      known[s] = { ...known[s], arm: { ...known[s].arm, doses: [...(subjects[s].arm.doses ?? []), ...decisions.given.map((/** @type {any} */ one) => one.dose)] } };
    }
    const part = model.solve(study, fresh.map((walk) => known[/** @type {any} */ (walk).s]), times);
    fresh.forEach((walk, row) => {
      const { s } = /** @type {any} */ (walk);
      solution.values.set(part.values.subarray(row * size, (row + 1) * size), s * size);
      for (const field of ["status", "accepted", "endTime"]) solution[field][s] = part[field][row];
    });
  }
  return { solution, subjects: known, given: walks.map((walk) => (walk ? walk.decisions.given : [])), curves };
}

/**
 * Go on from decision to decision until a dose is given; whether one was.
 * @param {any} walk @param {Record<string, Float64Array>} curves @param {any} model @param {any} study @param {ArrayLike<number>} times
 */
function advance(walk, curves, model, study, times) {
  const { decisions } = walk, start = nearest(times, model.units.hours(study.start ?? "0 h"));
  while (walk.k < decisions.times.length) {
    const time = decisions.times[walk.k++], before = decisions.given.length;
    const at = nearest(times, time);
    const seen = (/** @type {string} */ wanted) => {
      const curve = curves[wanted] ?? curves[Object.keys(model.page.scales).find((name) => [name, ...model.page.scales[name].aliases].some((one) => one.toLowerCase() === wanted.toLowerCase())) ?? ""];
      if (!curve) throw new Error(`a rule looks at ${wanted}, which this page does not compute`);
      return { now: curve[at], baseline: curve[start] };
    };
    decisions.decide(time, seen, walk.scheduled);
    decisions.giveUntil(time, walk.k < decisions.times.length ? decisions.times[walk.k] : Infinity);
    if (decisions.given.length > before) return true;
  }
  return false;
}
