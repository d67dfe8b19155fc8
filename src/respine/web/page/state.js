// What the reader chose: a study with its scenarios (arms), where the cursor stands, and how a link says it.

import { rulesOf } from "./rules.js";
import { occasions } from "./schedule.js";

export const MOST_SCENARIOS = 4;

/** The page's one state; `listeners` hear what changed: "study", "cursor" or "view". */
export class State {
  /** @param {any} page @param {any} units */
  constructor(page, units) {
    this.page = page;
    this.units = units;
    this.original = clean(page.study);
    this.study = structuredClone(this.original);
    const names = Object.keys(this.study.arms);
    this.shown = names.slice(0, 2);
    this.active = names[0];
    this.start = units.hours(this.study.start ?? "0 h");
    this.first = page.scene.begin ?? Math.min(this.start, units.hours([this.study.visits].flat()[0]));
    this.wished = Math.max(...[this.study.visits].flat().map((text) => units.hours(text)));
    this.cursor = page.scene.cursor ?? this.last;
    /** @type {Record<string, {rule: string, time: number}[]>} */
    this.given = {}; // by rules, in the scenarios as last solved
    /** @type {((what: string) => void)[]} */
    this.listeners = [];
  }

  /** @param {string} what */
  changed(what) {
    for (const listener of this.listeners) listener(what);
  }

  /** Hours up to which everything is shown: as far as asked for, or a little beyond the last thing that is given. */
  get last() {
    const given = this.lastGiven;
    return given > this.wished - 1e-9 ? given + 24 : this.wished;
  }

  /** When the last dose, pulse or change of a shown scenario happens. */
  get lastGiven() {
    const times = this.shown.flatMap((name) => {
      const arm = this.study.arms[name];
      const begins = (arm.exposures ?? []).filter((/** @type {any} */ one) => one.from).map((/** @type {any} */ one) => this.units.hours(one.from));
      const given = [...(arm.doses ?? []), ...(arm.co_medication ?? []), ...(arm.exposures ?? []).filter((/** @type {any} */ one) => one.at)];
      return [...begins, ...given.flatMap((one) => occasions(one, this.units))];
    });
    return Math.max(this.start, ...times);
  }

  get arm() {
    return this.study.arms[this.active];
  }

  /** The rules that act in the active scenario. */
  get rules() {
    return rulesOf(this.study, this.active);
  }

  /** Hours of the doses of a scenario, ascending: those written and those that its rules gave. @param {string} name @returns {number[]} */
  doseHours(name) {
    const written = (this.study.arms[name].doses ?? []).flatMap((/** @type {any} */ one) => occasions(one, this.units));
    return [...written, ...(this.given[name] ?? []).map((one) => one.time)].sort((a, b) => a - b);
  }

  /** Let the active scenario give a dose as needed: asked daily whether a score is above a threshold. @param {any} dose @param {string} scale @param {number} above */
  addRule(dose, scale, above) {
    const names = (this.study.rules ?? []).map((/** @type {any} */ rule) => rule.name);
    const rule = { name: unused("as-needed", Object.fromEntries(names.map((/** @type {string} */ name) => [name, 1])), "as-needed"), arms: [this.active],
      when: { visit: "daily", scale, above, "last-dose": { "longer-ago-than": "2.5 d" } }, then: { dose }, limit: { total: 12 } };
    this.study.rules = [...(this.study.rules ?? []), rule];
    this.changed("study");
  }

  /** @param {string} name */
  removeRule(name) {
    this.study.rules = this.study.rules.filter((/** @type {any} */ rule) => rule.name !== name);
    if (!this.study.rules.length) delete this.study.rules;
    this.changed("study");
  }

  /** Change the active scenario. @param {(arm: any, study: any) => void} edit */
  edit(edit) {
    edit(this.arm, this.study);
    this.study.arms[this.active] = clean(this.arm);
    this.changed("study");
  }

  /** A copy of the active scenario beside it. */
  compare() {
    if (this.shown.length >= MOST_SCENARIOS) return;
    const hidden = Object.keys(this.study.arms).find((name) => !this.shown.includes(name));
    const name = hidden ?? unused(this.active, this.study.arms);
    if (!hidden) {
      this.study.arms[name] = structuredClone(this.arm);
      this.copyRules(name);
    }
    this.shown.push(name);
    this.active = name;
    this.changed("study");
  }

  /** What rules say of the active scenario alone, for a copy of it: a dose as needed as a rule of its own. @param {string} name */
  copyRules(name) {
    for (const rule of this.rules.filter((/** @type {any} */ one) => one.arms?.length)) {
      const others = this.study.rules.map((/** @type {any} */ one) => one.name);
      if (rule.then.dose && !rule.then.hold && !rule.then.stop) {
        const own = unused(rule.name, Object.fromEntries(others.map((/** @type {string} */ one) => [one, 1])));
        this.study.rules.push({ ...structuredClone(rule), name: own, arms: [name] });
      } else rule.arms = [...[rule.arms].flat(), name];
    }
  }

  /** @param {string} name */
  remove(name) {
    if (this.shown.length < 2) return;
    this.shown = this.shown.filter((one) => one !== name);
    if (!this.original.arms[name]) {
      delete this.study.arms[name];
      this.study.rules = rulesFor(this.study.rules, Object.keys(this.study.arms));
      if (!this.study.rules.length) delete this.study.rules;
    }
    if (this.active === name) this.active = this.shown[0];
    this.changed("study");
  }

  /** @param {string} name */
  choose(name) {
    this.active = name;
    this.changed("view");
  }

  /** @param {number} hours */
  moveTo(hours) {
    this.cursor = Math.min(Math.max(hours, this.first), this.last);
    this.changed("cursor");
  }

  /** @param {number} hours */
  showUntil(hours) {
    this.wished = Math.min(Math.max(hours, this.start + 1), this.start + 24 * 3650);
    this.cursor = Math.min(this.cursor, this.last);
    this.changed("study");
  }

  reset() {
    const fresh = new State(this.page, this.units);
    const { study, shown, active, first, wished, cursor, given } = fresh;
    Object.assign(this, { study, shown, active, first, wished, cursor, given });
    this.changed("study");
  }

  /** The study of what is shown, as a file would hold it: its scenarios, visits up to the last hour shown. */
  get shownStudy() {
    const study = structuredClone(this.study);
    study.arms = Object.fromEntries(this.shown.map((name) => [name, study.arms[name]]));
    return study;
  }

  /** The study to take away: only what it still can mean, so that `respine run` reads it. */
  get takeAway() {
    const study = this.shownStudy;
    for (const one of study.endpoints ?? []) { // arms that results are measured against go along
      for (const name of [one.arm, one.healthy]) if (name && this.study.arms[name]) study.arms[name] ??= structuredClone(this.study.arms[name]);
    }
    study.rules = rulesFor(study.rules, Object.keys(study.arms));
    if (!study.rules.length) delete study.rules;
    const changed = !same(study.arms, this.original.arms) || !same(this.study.rules, this.original.rules);
    const visits = [study.visits].flat().filter((text) => this.units.hours(text) <= this.last + 1e-9);
    const last = Math.max(...visits.map((text) => this.units.hours(text)));
    if (this.last > last + 1e-9) visits.push(`${this.last} h`);
    study.visits = visits;
    const arms = Object.keys(study.arms);
    study.endpoints = (study.endpoints ?? []).filter((/** @type {any} */ one) =>
      (!one.arm || arms.includes(one.arm)) && (!one.healthy || arms.includes(one.healthy)) &&
      ["at", "by", "until"].every((key) => !one[key] || this.units.hours(one[key]) <= this.last + 1e-9));
    if (changed || this.last < last) delete study.compare; // published results belong to the trial as it was published
    if (!study.endpoints.length) delete study.endpoints;
    if (study.design !== "single-arm" && arms.length === 1) study.design = "single-arm";
    if (study.design === "single-arm" && arms.length > 1) study.design = "parallel";
    return study;
  }

  /** @returns {Promise<string>} what stands after the # of a link */
  async link() {
    const value = { a: Object.fromEntries(this.shown.map((name) => [name, same(this.study.arms[name], this.original.arms[name]) ? 0 : this.study.arms[name]])),
      x: this.active, t: round(this.cursor), u: round(this.wished),
      ...(same(this.study.covariates, this.original.covariates) ? {} : { c: this.study.covariates }),
      ...(same(this.study.parameters, this.original.parameters) ? {} : { p: this.study.parameters }),
      ...(same(this.study.rules, this.original.rules) ? {} : { r: this.study.rules ?? [] }) };
    return `v1.${toText(await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(JSON.stringify(value))))}`;
  }

  /** Take up what a link says. Throws an Error for one that says nothing. @param {string} hash */
  async restore(hash) {
    if (!hash.startsWith("v1.")) throw new Error("this link is of another version of the page");
    const value = JSON.parse(new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), fromText(hash.slice(3)))));
    const names = Object.keys(value.a ?? {}).slice(0, MOST_SCENARIOS);
    if (!names.length) throw new Error("this link names no scenario");
    const study = structuredClone(this.original);
    for (const name of names) {
      const arm = value.a[name] === 0 ? this.original.arms[name] : value.a[name];
      if (!arm || typeof arm !== "object") throw new Error(`this link names a scenario that the page does not have: ${name}`);
      study.arms[name] = structuredClone(arm);
    }
    if (value.c) study.covariates = value.c;
    if (value.p) study.parameters = value.p;
    if (Array.isArray(value.r)) {
      study.rules = rulesFor(value.r, Object.keys(study.arms));
      if (!study.rules.length) delete study.rules;
    }
    Object.assign(this, { study, shown: names, active: names.includes(value.x) ? value.x : names[0] });
    if (Number.isFinite(value.u)) this.wished = value.u;
    this.cursor = Math.min(Number.isFinite(value.t) ? value.t : this.cursor, this.last);
    this.changed("study");
  }
}

/** Without what is empty. @param {any} value @returns {any} */
function clean(value) {
  if (Array.isArray(value)) return value.map(clean);
  if (!value || typeof value !== "object") return value;
  const kept = Object.entries(value).map(([key, item]) => [key, clean(item)]);
  return Object.fromEntries(kept.filter(([key, item]) => item !== null && item !== undefined && item !== "" &&
    !(key !== "arms" && typeof item === "object" && !Array.isArray(item) && !Object.keys(item).length && key !== "arm" && ["genotype", "parameters", "covariates", "control"].includes(key)) &&
    !(Array.isArray(item) && !item.length)));
}

/** The rules that act in some of these arms, each with those of its arms alone. @param {any[] | undefined} rules @param {string[]} arms */
function rulesFor(rules, arms) {
  return (rules ?? []).map((rule) => (rule.arms?.length ? { ...rule, arms: [rule.arms].flat().filter((/** @type {string} */ one) => arms.includes(one)) } : rule))
    .filter((rule) => !rule.arms || rule.arms.length);
}

/** @param {string} name @param {Record<string, any>} arms @param {string} first what is taken if nobody has it */
function unused(name, arms, first = "") {
  if (first && !(first in arms)) return first;
  const stem = name.replace(/ \d+$/, "");
  for (let k = 2; ; k++) if (!(`${stem} ${k}` in arms)) return `${stem} ${k}`;
}

/** @param {any} a @param {any} b */
export const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** @param {number} value */
const round = (value) => Math.round(value * 1000) / 1000;

/** @param {any} stream @param {Uint8Array} bytes */
export async function through(stream, bytes) {
  const blob = new Blob([/** @type {any} */ (bytes)]);
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream)).arrayBuffer());
}

/** @param {Uint8Array} bytes */
const toText = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** @param {string} text */
export const fromText = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
