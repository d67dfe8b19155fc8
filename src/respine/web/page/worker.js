// Runs beside the page: solves what it is sent. A newer job of the same kind stops the one under way between two pieces.

import { Engine } from "./driver.js";
import { curvesOf, quantiles } from "./results.js";
import { solveWithRules } from "./rules.js";
import { Model } from "./solve.js";

const PEOPLE_AT_ONCE = 10;
const NUMBERS_AT_ONCE = 16;

/** @type {Model} */
let model;
/** @type {Record<string, number>} newest job of each kind */
const newest = {};

const breath = () => new Promise((resolve) => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => resolve(undefined);
  channel.port2.postMessage(0);
});

/** @type {Record<string, (job: any) => any>} */
const JOBS = {
  /** The typical subject of every arm. */
  typical({ study, arms, times }) {
    const began = performance.now();
    const subjects = arms.map((/** @type {string} */ name) => ({ name, arm: study.arms[name], person: model.typical(study, study.arms[name]) }));
    const { solution, given, curves } = solveWithRules(model, study, subjects, times);
    const found = arms.map((/** @type {string} */ name, /** @type {number} */ s) => ({
      name, status: solution.status[s], steps: solution.accepted[s], endTime: solution.endTime[s], given: given[s], curves: curves(s),
    }));
    return { arms: found, milliseconds: performance.now() - began };
  },

  /** Quantiles of a cohort in one arm. */
  async cohort({ study, arm: name, times, id }) {
    const arm = study.arms[name], { cohort } = model.page.people;
    const numbers = model.page.expectancy.numbers;
    const spread = Math.log1p((numbers.person_cv ?? 0) ** 2);
    /** @type {Record<string, Float64Array[]>} */
    const curves = {};
    let failed = 0;
    const began = performance.now();
    for (let from = 0; from < cohort.n; from += PEOPLE_AT_ONCE) {
      if (newest.cohort !== id) return null;
      const chosen = Array.from({ length: Math.min(PEOPLE_AT_ONCE, cohort.n - from) }, (_, k) => from + k);
      const subjects = chosen.map((k) => ({ name, arm, person: model.person(study, arm, k), traits: { hope: Math.exp(Math.sqrt(spread) * cohort.expectancy[k] - spread / 2), felt: 1 } }));
      const { solution, curves: ofPerson } = solveWithRules(model, study, subjects, times);
      chosen.forEach((_, s) => {
        if (solution.status[s] !== 0) {
          failed++;
          return;
        }
        const own = ofPerson(s);
        for (const curve in own) (curves[curve] ??= []).push(own[curve]);
      });
      await breath();
    }
    const bands = Object.fromEntries(Object.entries(curves).map(([key, list]) => [key, quantiles(list, [0.05, 0.5, 0.95])]));
    return { name, bands, n: cohort.n - failed, failed, milliseconds: performance.now() - began };
  },

  /** By how much each parameter moves one curve, within its own belief: largest first. */
  async moves({ study, arm: name, output, times, names, id }) {
    const person = model.typical(study, study.arms[name]), symbols = model.page.model.symbols;
    const { arm } = solveWithRules(model, study, [{ name, arm: study.arms[name], person }], times).subjects[0]; // doses of rules stay where they are
    const solved = (/** @type {any[]} */ people) => model.solve(study, people.map((one) => ({ arm, person: one })), times);
    const size = times.length * model.outputs.length;
    const curve = (/** @type {any} */ solution, /** @type {number} */ s, /** @type {any} */ one) =>
      curvesOf(model, study, arm, one, solution.values.subarray(s * size, (s + 1) * size), times)[output];
    const base = curve(solved([person]), 0, person);
    const jobs = [];
    for (const one of names) {
      const { low, high, value } = symbols[one];
      const range = low !== undefined && high !== undefined && low < high ? [low, high] : [value * 0.9, value * 1.1];
      for (const end of range) jobs.push({ one, person: { covariates: person.covariates, values: { ...person.values, [one]: end } } });
    }
    /** @type {Record<string, {name: string, size: number, low: number, high: number}>} */
    const found = {};
    for (let from = 0; from < jobs.length; from += NUMBERS_AT_ONCE) {
      if (newest.moves !== id) return null;
      const part = jobs.slice(from, from + NUMBERS_AT_ONCE);
      const solution = solved(part.map((job) => job.person));
      part.forEach((job, s) => {
        if (solution.status[s] !== 0) return;
        const own = curve(solution, s, job.person);
        const entry = (found[job.one] ??= { name: job.one, size: 0, low: NaN, high: NaN });
        let size = 0;
        for (let t = 0; t < own.length; t++) size = Math.max(size, Math.abs(own[t] - base[t]));
        entry.size = Math.max(entry.size, size);
        entry[(from + s) % 2 ? "high" : "low"] = size;
      });
      await breath();
    }
    const most = Object.values(found).sort((a, b) => b.size - a.size).slice(0, 3);
    return { output, most, tried: names.length };
  },
};

self.onmessage = async ({ data: job }) => {
  try {
    if (job.kind === "open") {
      const { page } = job;
      page.people.cohort.table = new Float32Array(job.cohort);
      model = new Model(page, await Engine.load(job.module, page.model.description));
      self.postMessage({ kind: "open" });
      return;
    }
    newest[job.kind] = job.id;
    const result = await JOBS[job.kind](job);
    self.postMessage({ kind: job.kind, id: job.id, result });
  } catch (error) {
    self.postMessage({ kind: job.kind, id: job.id, error: String(/** @type {any} */ (error)?.message ?? error) });
  }
};
