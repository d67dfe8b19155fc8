// A study's arms solved with the page's own module: the typical subject, many people, or one number moved.

import { evaluate, uniformNumbers } from "./numbers.js";
import { Schedule, begins } from "./schedule.js";
import { Units } from "./units.js";

/** A page's model, ready to solve arms of studies. */
export class Model {
  /**
   * @param {any} page
   * @param {any} engine a loaded driver (driver.js)
   */
  constructor(page, engine) {
    this.page = page;
    this.engine = engine;
    this.units = new Units(page.treatments);
    const d = engine.description, model = page.model;
    this.outputs = d.outputs;
    this.vary = model.vary;
    this.states = new Map(d.states.map((/** @type {string} */ name, /** @type {number} */ k) => [name, k]));
    this.slow = new Map(d.slow.map((/** @type {string} */ name, /** @type {number} */ k) => [name, k]));
    this.base = Object.fromEntries(model.vary.map((/** @type {string} */ name) => [name, model.symbols[name].value]));
    this.startSlow = Float64Array.from(d.slow.slice(d.varying), (/** @type {string} */ name) => model.inputs[name] ?? 0);
    const uniform = uniformNumbers(d.uniform, { ...this.base, ...model.inputs, ...model.zeros });
    this.shared = Float64Array.from([...uniform, ...model.tolerances]);
  }

  /**
   * The typical subject of an arm: its covariates, and the numbers in which it differs from the model's.
   * @param {any} study
   * @param {any} arm
   */
  typical(study, arm) {
    const { people } = this.page;
    const covariates = { ...people.typical, ...fixedOf(study), ...genotypeOf(people, arm) };
    const own = { ...people.parameters, ...(study.parameters ?? {}), ...(arm.parameters ?? {}), ...numbersOf(covariates, this.base) };
    return { covariates, values: { ...this.base, ...own } };
  }

  /**
   * Person k of the cohort in an arm; what the page changed is changed in everybody.
   * @param {any} study
   * @param {any} arm
   * @param {number} k
   */
  person(study, arm, k) {
    const { people } = this.page, { cohort } = people;
    const covariates = { ...people.typical };
    for (const name in cohort.covariates) covariates[name] = cohort.covariates[name][k];
    Object.assign(covariates, fixedOf(study), genotypeOf(people, arm));
    const values = { ...this.base };
    const row = k * cohort.columns.length;
    for (let c = 0; c < cohort.columns.length; c++) values[cohort.columns[c]] = cohort.table[row + c];
    for (const [name, value] of Object.entries({ ...(study.parameters ?? {}), ...(arm.parameters ?? {}) })) {
      const varies = this.page.model.symbols[name]?.varies;
      values[name] = varies && this.base[name] ? values[name] * (Number(value) / this.base[name]) : Number(value);
    }
    Object.assign(values, numbersOf(covariates, this.base));
    return { covariates, values };
  }

  /**
   * Outputs of some subjects, one after the other (subject, time, output), and their statuses.
   * @param {any} study
   * @param {{arm: any, person: any}[]} subjects
   * @param {ArrayLike<number>} times
   */
  solve(study, subjects, times) {
    const { engine, page } = this, d = engine.description, n = subjects.length, moments = times.length;
    const start = Math.min(begins(study, page.people, this.units), times[0]);
    const parameters = new Float64Array(n * d.varying), starts = new Float64Array(n * d.states.length);
    const first = [], last = [], time = [], kind = [], target = [], value = [];
    const need = new Int32Array(n * moments), row = [];
    subjects.forEach(({ arm, person }, s) => {
      for (let p = 0; p < d.varying; p++) parameters[s * d.varying + p] = person.values[d.slow[p]];
      starts.set(this.start(person.values, start), s * d.states.length);
      const schedule = new Schedule(page, this.units, study, arm, person);
      first.push(time.length);
      for (const event of schedule.events) {
        const number = this.number(event);
        if (number === undefined) continue; // what this page does not need
        time.push(event.time);
        kind.push(d.events[event.kind]);
        target.push(number);
        value.push(event.value);
      }
      last.push(time.length);
      for (let k = 0, e = first[s]; k < moments; k++) {
        while (e < last[s] && time[e] < times[k]) e++;
        need[s * moments + k] = e - first[s];
      }
      row.push(s * moments);
    });
    const zeros = new Array(n).fill(0), counts = new Array(n).fill(moments);
    const solution = engine.solve({
      parameters, starts, startSlow: this.startSlow, shared: this.shared, first, last, eventTime: time, eventKind: kind,
      eventTarget: target, eventValue: value, times, timeFirst: zeros, count: counts, row, need, start,
      largestStep: Infinity, mostSteps: page.model.mostSteps, queue: subjects.map((_, s) => s),
    });
    return solution;
  }

  /** @param {{kind: string, target: string}} event */
  number(event) {
    if (event.kind === "ADD_STATE") return this.states.get(event.target);
    return this.slow.get(event.kind === "SET_RATE" ? this.engine.description.ratePrefix + event.target : event.target);
  }

  /**
   * Start values of the live states.
   * @param {Record<string, number>} values
   * @param {number} time
   */
  start(values, time) {
    const known = { ...values, ...this.page.model.inputs };
    for (const [name, formula] of this.page.model.starts) known[name] = evaluate(formula, known, time);
    return this.engine.description.states.map((/** @type {string} */ name) => known[name]);
  }
}

/**
 * Covariates that the study gives one value for all.
 * @param {any} study
 */
function fixedOf(study) {
  const fixed = /** @type {Record<string, number>} */ ({});
  for (const [name, one] of Object.entries(/** @type {Record<string, any>} */ (study.covariates ?? {}))) {
    if (one.distribution === "constant") fixed[name] = Number(one.value);
  }
  return fixed;
}

/** @param {any} people @param {any} arm */
function genotypeOf(people, arm) {
  const found = /** @type {Record<string, number>} */ ({}), genotype = arm.genotype ?? {};
  if (genotype.val66met) found.val66met = people.genotypes[genotype.val66met];
  if (genotype.bdnf_gene_dose !== undefined && genotype.bdnf_gene_dose !== null) found.bdnf_gene_dose = genotype.bdnf_gene_dose;
  return found;
}

/** @param {Record<string, any>} covariates @param {Record<string, number>} base */
function numbersOf(covariates, base) {
  return Object.fromEntries(Object.entries(covariates).filter(([name, value]) => name in base && typeof value === "number"));
}
