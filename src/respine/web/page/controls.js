// The levers: what is given, to whom, under which stress. Every change edits the study of the active scenario.

import { at, h, s } from "./dom.js";
import { named } from "./schedule.js";
import { MOST_SCENARIOS } from "./state.js";
import { plain, split, timeText } from "./units.js";

let serial = 0;

/** The form of the active scenario. */
export class Controls {
  /** @param {any} state */
  constructor(state) {
    this.state = state;
    this.page = state.page;
    this.form = at("form");
    this.shape = "";
  }

  /** Build what is shown anew where its shape changed; values in fields that have the focus are left alone. */
  draw() {
    this.scenarios();
    const shape = JSON.stringify([this.state.active, this.shapeOf(this.state.arm)]);
    if (shape === this.shape) return;
    this.shape = shape;
    const id = /** @type {any} */ (document.activeElement)?.dataset?.key;
    this.form.replaceChildren(...this.sections().filter(Boolean));
    if (id) this.form.querySelector(`[data-key="${CSS.escape(id)}"]`)?.focus();
  }

  /** What decides which fields there are. @param {any} arm */
  shapeOf(arm) {
    return [(arm.doses ?? []).map((/** @type {any} */ d) => [d.drug, d.route, d.into, split(d.amount ?? "")?.unit, d.every !== undefined]),
      (arm.co_medication ?? []).map((/** @type {any} */ d) => [d.drug, d.route]),
      (arm.exposures ?? []).map((/** @type {any} */ e) => [e.exposure, e.every !== undefined]), this.state.rules.map((/** @type {any} */ rule) => rule.name), this.generation];
  }

  /** Fields show other values than they were given: build them again. */
  refresh() {
    this.generation = (this.generation ?? 0) + 1;
    this.draw();
  }

  scenarios() {
    const { state } = this;
    const rows = state.shown.map((/** @type {string} */ name, /** @type {number} */ k) => h("div", { class: "scenario" },
      h("button", { type: "button", "aria-pressed": String(name === state.active), onclick: () => state.choose(name) },
        s("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, s("path", { class: `line c${k}`, d: "M1 5H29" })), name),
      state.shown.length > 1 ? h("button", { type: "button", class: "remove", "aria-label": `Remove ${name}`, onclick: () => state.remove(name) }, "×") : null));
    const add = h("button", { type: "button", id: "compare", disabled: state.shown.length >= MOST_SCENARIOS, onclick: () => state.compare() }, "+ compare");
    const reset = h("button", { type: "button", id: "reset", class: "link", onclick: () => (state.reset(), this.refresh()) }, "start again");
    at("scenarios").replaceChildren(h("div", { class: "scenarios", role: "group", "aria-label": "Scenarios" }, rows), h("div", { class: "scenario" }, add, reset));
  }

  sections() {
    const { arm } = this.state, { library } = this.page.model;
    const doses = (arm.doses ?? []).map((/** @type {any} */ _, /** @type {number} */ k) => this.dose("doses", k));
    return [
      ...doses,
      doses.length ? null : this.group("Treatment", this.note("Nothing is given."), this.button("Give a drug", () => this.addDose())),
      ...this.state.rules.map((/** @type {any} */ rule) => this.rule(rule)),
      ...(arm.exposures ?? []).map((/** @type {any} */ _, /** @type {number} */ k) => this.exposure(k)),
      library ? this.around() : null, library ? this.person() : null,
      ...(arm.co_medication ?? []).map((/** @type {any} */ _, /** @type {number} */ k) => this.dose("co_medication", k)),
      this.more(), library ? null : this.parameters(),
    ];
  }

  // ---- a drug -----------------------------------------------------------------------------------------------------

  /** @param {"doses" | "co_medication"} field @param {number} k */
  dose(field, k) {
    const one = this.state.arm[field][k], key = `${field}${k}`;
    const edit = (/** @type {(dose: any) => void} */ change) => this.state.edit((/** @type {any} */ arm) => change(arm[field][k]));
    const title = field === "doses" ? (k === 0 ? "Treatment" : `Treatment ${k + 1}`) : "Taken besides";
    const { drugs } = this.page.treatments, drug = drugs[named(drugs, one.drug)];
    const rows = /** @type {any[]} */ ([]);
    if (one.into) {
      rows.push(this.select(`${key}into`, "Into", Object.keys(this.page.model.symbols).filter((name) => this.page.model.symbols[name].role === "state").map((name) => [name, name]), one.into, (value) => edit((d) => (d.into = value))));
    } else {
      const names = Object.keys(drugs).map((name) => [name, capital(short(drugs[name].title, name))]);
      rows.push(this.select(`${key}drug`, "Drug", [["", "none"], ...names], named(drugs, one.drug), (value) => this.changeDrug(field, k, value)));
      if (drug) rows.push(this.select(`${key}route`, "Route", Object.keys(drug.routes).map((r) => [r, ROUTES[r] ?? r]), one.route, (value) => this.changeRoute(field, k, value)));
    }
    const route = one.into ? null : drug?.routes[one.route];
    rows.push(this.amount(key, one, route, edit));
    if (route?.over || one.into) rows.push(this.time(`${key}over`, "Over", one.over ?? `${route?.over?.default ?? 0} h`, { low: 0, high: route?.over?.high ?? 24, unit: "min" }, (value) => edit((d) => (d.over = value))));
    rows.push(...this.timing(key, one, edit));
    rows.push(this.button("Take it out", () => this.state.edit((/** @type {any} */ arm) => arm[field].splice(k, 1))));
    return this.group(title, ...rows);
  }

  /** @param {string} key @param {any} one @param {any} route @param {any} edit */
  amount(key, one, route, edit) {
    const parts = split(one.amount ?? "");
    if (!parts) return route?.dose?.length ? this.button("Set an amount", () => (edit((/** @type {any} */ d) => (d.amount = usual(route.dose[0]))), this.refresh())) : null;
    const range = route?.dose.find((/** @type {any} */ d) => d.unit === parts.unit) ?? { low: 0, high: parts.number * 4 || 10, unit: parts.unit };
    const units = (route?.dose ?? []).map((/** @type {any} */ d) => d.unit);
    const unit = units.length > 1 ? h("select", { "aria-label": "Unit of the dose", "data-key": `${key}unit`, onchange: (/** @type {any} */ e) => {
      const chosen = route.dose.find((/** @type {any} */ d) => d.unit === e.target.value);
      edit((/** @type {any} */ d) => (d.amount = usual(chosen)));
      this.refresh();
    } }, units.map((/** @type {string} */ u) => h("option", { value: u, selected: u === parts.unit }, u))) : parts.unit;
    if (route?.spray && route.spray.unit === this.state.units.canonical(parts.unit)[0] && !one["per-spray"] && !one.sprays) {
      const each = route.spray.value / this.state.units.canonical(parts.unit)[1]; // a dose is a whole number of sprays
      return this.slider(`${key}amount`, "Dose", parts.number, { low: each, high: Math.max(Math.ceil(range.high / each) * each, parts.number), step: each, studied: [range.low, range.high] }, unit, (value) =>
        value > 0 && edit((/** @type {any} */ d) => (d.amount = `${plain(Math.max(1, Math.round(value / each)) * each, 6)} ${parts.unit}`)));
    }
    return this.slider(`${key}amount`, "Dose", parts.number, { low: range.high / 1000, high: range.high, studied: [range.low, range.high], log: true }, unit, (value) =>
      value > 0 && edit((/** @type {any} */ d) => (d.amount = `${plain(value, 4)} ${parts.unit}`)));
  }

  /** First, interval and number. @param {string} key @param {any} one @param {any} edit */
  timing(key, one, edit) {
    const { units } = this.state, listed = [one.at].flat();
    const regular = one.every !== undefined || listed.length === 1;
    if (!regular) {
      const times = listed.map((/** @type {string} */ t) => units.hours(t)), every = (times[times.length - 1] - times[0]) / (times.length - 1);
      return [h("p", { class: "fine" }, `${times.length} times between ${timeText(times[0])} and ${timeText(times[times.length - 1])}`),
        this.button("Give it at equal intervals", () => (edit((/** @type {any} */ d) => Object.assign(d, { at: listed[0], every: `${plain(every, 4)} h`, times: times.length })), this.refresh()))];
    }
    const count = one.times ?? (one.until && one.every ? Math.floor((units.hours(one.until) - units.hours(listed[0])) / units.hours(one.every) + 1e-9) + 1 : 1);
    const rows = [
      this.time(`${key}at`, "First", listed[0], { low: this.state.first, high: Math.max(units.hours(listed[0]), this.state.last), unit: "d" }, (value) => edit((/** @type {any} */ d) => (d.at = value))),
      this.slider(`${key}times`, "Number", count, { low: 1, high: Math.max(20, count), step: 1 }, "times", (value) => edit((/** @type {any} */ d) => {
        const n = Math.max(1, Math.round(value));
        delete d.until;
        if (n > 1) Object.assign(d, { times: n, every: d.every ?? "3.5 d" });
        else {
          delete d.times;
          delete d.every;
        }
      })),
    ];
    if (one.every !== undefined) rows.push(this.time(`${key}every`, "Every", one.every, { low: 1, high: Math.max(336, units.hours(one.every)), unit: "d" }, (value) => edit((/** @type {any} */ d) => (d.every = value))));
    return rows;
  }

  addDose(field = "doses") {
    const { drugs } = this.page.treatments, name = Object.keys(drugs).find((n) => n === (field === "doses" ? "ketamine" : "escitalopram")) ?? Object.keys(drugs)[0];
    this.state.edit((/** @type {any} */ arm) => {
      const fresh = name ? this.freshDose(name, field) : { into: Object.keys(this.page.model.symbols).find((s) => this.page.model.symbols[s].role === "state"), amount: "1 mg", at: "0 h" };
      arm[field] = [...(arm[field] ?? []), fresh];
    });
    this.refresh();
  }

  /** @param {string} name @param {string} field */
  freshDose(name, field = "doses") {
    const { routes } = this.page.treatments.drugs[name], route = Object.keys(routes)[0], form = routes[route];
    const dose = /** @type {any} */ ({ drug: name, route, at: field === "doses" ? timeText(this.state.start) : timeText(this.state.start - 28 * 24) });
    if (form.dose.length) dose.amount = usual(form.dose[0], form.spray);
    if (field === "co_medication" || route === "oral") Object.assign(dose, { every: "24 h", times: Math.max(1, Math.round((this.state.last - this.state.units.hours(dose.at)) / 24)) });
    return dose;
  }

  /** @param {"doses" | "co_medication"} field @param {number} k @param {string} value */
  changeDrug(field, k, value) {
    this.state.edit((/** @type {any} */ arm) => {
      if (!value) arm[field].splice(k, 1);
      else {
        const old = arm[field][k], fresh = this.freshDose(value, field);
        const { routes } = this.page.treatments.drugs[value];
        if (old.route in routes && fresh.route !== old.route) {
          fresh.route = old.route;
          fresh.amount = routes[old.route].dose.length ? usual(routes[old.route].dose[0], routes[old.route].spray) : undefined;
        }
        for (const name of ["at", "every", "times", "until"]) {
          if (old[name] !== undefined) fresh[name] = old[name];
          else delete fresh[name];
        }
        arm[field][k] = fresh;
      }
    });
    this.refresh();
  }

  /** @param {"doses" | "co_medication"} field @param {number} k @param {string} value */
  changeRoute(field, k, value) {
    this.state.edit((/** @type {any} */ arm) => {
      const one = arm[field][k], { dose, spray } = this.page.treatments.drugs[named(this.page.treatments.drugs, one.drug)].routes[value];
      const unit = split(one.amount ?? "")?.unit;
      one.route = value;
      for (const name of ["over", "sprays", "per-spray", "apart"]) delete one[name];
      if (spray || !dose.some((/** @type {any} */ d) => d.unit === unit)) one.amount = dose.length ? usual(dose[0], spray) : undefined;
    });
    this.refresh();
  }

  // ---- rules ------------------------------------------------------------------------------------------------------

  /** A rule of the scenario: its threshold and limits, where it gives a dose by a score, and what it gave. @param {any} rule */
  rule(rule) {
    const { state } = this, key = `rule-${rule.name}`, { when, then } = rule, scale = this.page.scales[when.scale];
    const edit = (/** @type {() => void} */ change) => (change(), state.changed("study"));
    const what = then.dose ?? then.start, rows = [this.note(what ? `${what.drug} ${ROUTES[what.route] ?? what.route}, ${what.amount ?? `${what.sprays} sprays`}` : "Gives nothing itself.")];
    const scales = Object.keys(this.page.scales);
    if (then.dose && scale && when.above !== undefined && when.above !== null) {
      if (scales.length > 1) rows.push(this.select(`${key}-scale`, "By", scales.map((name) => [name, name]), when.scale, (value) => (edit(() => Object.assign(when, { scale: value, above: threshold(this.page.scales[value]) })), this.refresh())));
      rows.push(this.slider(`${key}-above`, `${when.scale} above`, Number.parseFloat(when.above), { low: scale.low, high: scale.high, step: 0.5 }, scale.unit ?? "", (value) => edit(() => (when.above = value))));
      if (["daily", "weekly"].includes(when.visit)) rows.push(this.select(`${key}-visit`, "Asked", [["daily", "every day"], ["weekly", "every week"]], when.visit, (value) => edit(() => (when.visit = value))));
      const ago = when["last-dose"]?.["longer-ago-than"];
      if (ago) rows.push(this.time(`${key}-ago`, "Last dose longer ago than", ago, { low: 1, high: Math.max(336, state.units.hours(ago)), unit: "d" }, (value) => edit(() => (when["last-dose"] = { ...when["last-dose"], "longer-ago-than": value }))));
      if (rule.limit?.total) rows.push(this.slider(`${key}-total`, "At most", rule.limit.total, { low: 1, high: Math.max(40, rule.limit.total), step: 1 }, "doses", (value) => edit(() => (rule.limit = { ...rule.limit, total: Math.max(1, Math.round(value)) }))));
    }
    rows.push(h("p", { class: "fine", "data-rule": rule.name }), this.button("Take it out", () => state.removeRule(rule.name)));
    setTimeout(() => this.told());
    return this.group(`Rule: ${rule.name}${rule.arms?.length ? "" : " (all scenarios)"}`, ...rows);
  }

  /** What rules gave, said anew after each solution. */
  told() {
    for (const line of this.form.querySelectorAll("[data-rule]")) {
      const times = (this.state.given[this.state.active] ?? []).filter((/** @type {any} */ one) => one.rule === line.dataset.rule).map((/** @type {any} */ one) => `${plain((one.time - this.state.start) / 24, 3)}`);
      line.textContent = `${times.length ? `Given ${times.length === 1 ? "once, on day" : `${times.length} times, on days`} ${times.join(", ")}.` : "Gave nothing."} Scores are read here without a rater's error; a run reads them with it.`;
    }
  }

  /** A dose of the kind the scenario has, the first as written and all others by a score. */
  addAsNeeded() {
    const scale = Object.keys(this.page.scales)[0], known = this.state.arm.doses?.find((/** @type {any} */ one) => one.drug);
    const { drugs } = this.page.treatments, drug = named(drugs, known?.drug ?? (drugs.ketamine ? "ketamine" : Object.keys(drugs)[0]));
    const fresh = known ?? this.freshDose(drug);
    const dose = Object.fromEntries(["drug", "route", "amount", "over", "sprays"].filter((name) => fresh[name] !== undefined && fresh[name] !== null).map((name) => [name, fresh[name]]));
    if (known) for (const name of ["every", "times", "until"]) delete known[name];
    if (Array.isArray(known?.at)) known.at = known.at[0];
    this.state.addRule(dose, scale, threshold(this.page.scales[scale]));
  }

  // ---- what acts besides ------------------------------------------------------------------------------------------

  /** One exposure of the scenario. @param {number} k */
  exposure(k) {
    const one = this.state.arm.exposures[k], { exposures } = this.page.treatments, file = exposures[named(exposures, one.exposure)];
    if (!file || this.isLever(one)) return null;
    const edit = (/** @type {(e: any) => void} */ change) => this.state.edit((/** @type {any} */ arm) => change(arm.exposures[k]));
    const rows = [this.slider(`e${k}level`, "Strength", one.level ?? 1, { low: 0, high: Math.max(file.most, one.level ?? 1), step: 0.05 }, "", (value) => edit((e) => (e.level = value)))];
    if (file.kind === "level") {
      const { first } = this.state, last = Math.max(this.state.last, 1);
      rows.push(this.time(`e${k}from`, "From", one.from, { low: Math.min(first, this.state.units.hours(one.from)), high: last, unit: "d" }, (value) => edit((e) => (e.from = value))));
      rows.push(this.time(`e${k}until`, "Until", one.until ?? `${last} h`, { low: first, high: last, unit: "d" }, (value) => edit((e) => (e.until = value))));
    } else rows.push(...this.timing(`e${k}`, one, edit));
    rows.push(this.button("Take it out", () => this.state.edit((/** @type {any} */ arm) => arm.exposures.splice(k, 1))));
    return this.group(file.title, ...rows);
  }

  /** Levels with levers of their own: what lasted before, and what lasts from day 0. @param {any} one */
  isLever(one) {
    return this.levers().some((lever) => lever.exposure === one.exposure && (one.note === lever.note));
  }

  levers() {
    const { people, treatments } = this.page, found = [];
    const level = (/** @type {string} */ input) => people.history.reduce((/** @type {number} */ sum, /** @type {any} */ p) => (p.inputs.includes(input) && p.until === null ? people.typical[`history_${input}${p.suffix}`] : sum), 0);
    if (level("stress")) {
      found.push({ key: "stress-before", exposure: "stress", note: "before day 0", name: "Stress before", base: level("stress"), from: -people.runIn, until: 0, most: 1.5 });
      found.push({ key: "stress-after", exposure: "stress", note: "from day 0 on", name: "Stress after", base: level("stress"), from: 0, most: 1.5 });
    }
    if (level("nociception")) found.push({ key: "pain-after", exposure: "nociception", note: "from day 0 on", name: "Pain source", base: level("nociception"), from: 0, most: 2 });
    if (treatments.exposures.exercise) found.push({ key: "exercise", exposure: "exercise", note: "from day 0 on", name: "Exercise", base: 0, from: 0, most: 1.5 });
    if (treatments.exposures["inflammatory-challenge"]) found.push({ key: "inflammation", exposure: "inflammatory-challenge", note: "from day 0 on", name: "Inflammation", base: 0, from: 0, most: 2 });
    return found.filter((lever) => treatments.exposures[lever.exposure]);
  }

  around() {
    const rows = this.levers().map((lever) => {
      const now = (this.state.arm.exposures ?? []).find((/** @type {any} */ e) => e.exposure === lever.exposure && e.note === lever.note);
      return this.slider(lever.key, lever.name, now ? (now.level ?? 1) : lever.base, { low: 0, high: lever.most, step: 0.05 }, "", (value) => this.state.edit((/** @type {any} */ arm) => {
        const rest = (arm.exposures ?? []).filter((/** @type {any} */ e) => !(e.exposure === lever.exposure && e.note === lever.note));
        const { start } = this.state;
        if (Math.abs(value - lever.base) > 1e-9) {
          const made = /** @type {any} */ ({ exposure: lever.exposure, level: value, from: `${start + lever.from} h`, note: lever.note });
          if (lever.until !== undefined) made.until = `${start + lever.until} h`;
          rest.push(made);
          // what follows "before" must say what it is, or the history would be over
          if (lever.key === "stress-before" && !rest.some((/** @type {any} */ e) => e.exposure === "stress" && e.note === "from day 0 on")) rest.push({ exposure: "stress", level: lever.base, from: `${start} h`, note: "from day 0 on" });
        }
        arm.exposures = rest;
      }));
    });
    return this.group("Around it", ...rows);
  }

  person() {
    const { people, model } = this.page, { state } = this, rows = [];
    if ("val66met" in people.typical) {
      rows.push(this.select("genotype", "BDNF gene", [["", `typical (${Object.keys(people.genotypes).find((g) => people.genotypes[g] === people.typical.val66met) ?? "mixed"})`], ...Object.keys(people.genotypes).map((g) => [g, g])],
        state.arm.genotype?.val66met ?? "", (value) => state.edit((/** @type {any} */ arm) => {
          arm.genotype = { ...arm.genotype, val66met: value || undefined };
        })));
    }
    for (const [id, name, low, high, unit, log] of /** @type {[string, string, number, number, string, boolean][]} */ ([["crp", "CRP in blood", 0.1, 20, "mg/L", true], ["weight_kg", "Weight", 40, 150, "kg", false]])) {
      if (!(id in people.typical) || (id === "weight_kg" && model.species !== "human")) continue;
      rows.push(this.slider(id, name, this.covariate(id), { low, high, log, step: log ? undefined : 1 }, unit, (value) => state.edit((/** @type {any} */ _, /** @type {any} */ study) => {
        study.covariates = { ...study.covariates, [id]: { distribution: "constant", value, unit: people.units[id] || unit, status: "assumed", note: "set in the page" } };
      })));
    }
    return this.group("The person", ...rows, rows.length > 1 ? this.note("CRP and weight are those of all scenarios.") : null);
  }

  /** @param {string} id */
  covariate(id) {
    const own = this.state.study.covariates?.[id];
    return own?.distribution === "constant" ? own.value : this.page.people.typical[id];
  }

  more() {
    const { exposures, drugs } = this.page.treatments, { state } = this;
    const names = Object.keys(exposures);
    const rows = [];
    if (names.length) {
      rows.push(this.select("add-exposure", "Also", [["", "add what acts besides"], ...names.map((name) => [name, exposures[name].title])], "", (value) => {
        if (!value) return;
        state.edit((/** @type {any} */ arm) => {
          const fresh = exposures[value].kind === "level" ? { exposure: value, level: 1, from: `${state.start} h`, until: `${state.last} h` } : { exposure: value, at: `${state.start} h`, every: "56 h", times: 6 };
          arm.exposures = [...(arm.exposures ?? []), fresh];
        });
        this.refresh();
      }));
    }
    const given = (state.arm.doses ?? []).length;
    rows.push(this.slider("until", "Shown until", (state.last - state.start) / 24, { low: 1, high: Math.max(182, (state.last - state.start) / 24), step: 1 }, "d", (value) => value > 0 && state.showUntil(state.start + 24 * value)));
    return this.group("More", ...rows, h("div", { class: "away" }, given ? this.button("Another drug", () => this.addDose()) : null,
      Object.keys(drugs).length && Object.keys(this.page.scales).length ? this.button("As needed", () => this.addAsNeeded()) : null,
      Object.keys(drugs).length ? this.button("Taken besides", () => this.addDose("co_medication")) : null));
  }

  /** Parameters of an own model. */
  parameters() {
    const { symbols } = this.page.model, { state } = this;
    const names = Object.keys(symbols).filter((name) => symbols[name].role === "parameter").slice(0, 24);
    return this.group("Parameters", ...names.map((name) => {
      const value = state.arm.parameters?.[name] ?? symbols[name].value, size = Math.abs(symbols[name].value) || 1;
      return this.slider(`p-${name}`, name, value, { low: Math.min(0, value), high: Math.max(size * 4, value), log: symbols[name].value > 0 }, symbols[name].unit ?? "", (next) => state.edit((/** @type {any} */ arm) => {
        arm.parameters = { ...arm.parameters, [name]: next };
      }));
    }));
  }

  // ---- pieces -----------------------------------------------------------------------------------------------------

  /** @param {string} title @param {...any} rows */
  group(title, ...rows) {
    return h("fieldset", {}, h("legend", {}, title), h("div", {}, rows));
  }

  /** @param {string} text */
  note(text) {
    return h("p", { class: "fine" }, text);
  }

  /** @param {string} text @param {() => void} action */
  button(text, action) {
    return h("button", { type: "button", class: text === "Take it out" ? "link" : null, "data-key": `b-${text}-${serial++}`, onclick: () => {
      action();
      this.refresh();
    } }, text);
  }

  /** @param {string} key @param {string} name @param {string[][]} options @param {string} chosen @param {(value: string) => void} act */
  select(key, name, options, chosen, act) {
    const id = `f${serial++}`;
    return h("div", { class: "row pair" }, h("label", { for: id }, name),
      h("select", { id, "data-key": key, onchange: (/** @type {any} */ e) => act(e.target.value) }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
  }

  /**
   * A slider with its number field. `studied`: the range that was studied, told when left.
   * @param {string} key @param {string} name @param {number} value @param {any} range @param {any} unit @param {(value: number) => void} act
   */
  slider(key, name, value, range, unit, act) {
    const id = `f${serial++}`, { low, high } = range, log = range.log && high > 0, floor = high / 1000;
    const toSlider = (/** @type {number} */ v) => (log ? (v <= floor ? 0 : (1000 * Math.log(v / floor)) / Math.log(high / floor)) : (1000 * (v - low)) / (high - low || 1));
    const fromSlider = (/** @type {number} */ p) => {
      const raw = log ? (p <= 0 ? low : floor * (high / floor) ** (p / 1000)) : low + ((high - low) * p) / 1000;
      return range.step ? Math.round(raw / range.step) * range.step : Number(raw.toPrecision(3));
    };
    const warn = h("span", { class: "outside", hidden: true });
    const tell = (/** @type {number} */ v) => {
      const out = range.studied && (v < range.studied[0] || v > range.studied[1]);
      warn.hidden = !out;
      if (out) warn.textContent = `Studied: ${plain(range.studied[0], 3)} to ${plain(range.studied[1], 3)}`;
    };
    const field = h("input", { id, type: "number", step: range.step ?? "any", inputmode: "decimal", "data-key": `${key}-n`, value: plain(value, 4), oninput: (/** @type {any} */ e) => {
      const v = Number(e.target.value);
      if (e.target.value === "" || !Number.isFinite(v) || (low >= 0 && v < 0) || (log && low > 0 && v <= 0)) return e.target.setAttribute("aria-invalid", "true");
      e.target.removeAttribute("aria-invalid");
      bar.value = toSlider(v);
      tell(v);
      act(v);
    } });
    const bar = h("input", { type: "range", min: 0, max: 1000, step: range.step && !log ? (1000 * range.step) / (high - low || 1) : 1, "data-key": key, "aria-label": `${name}, slider`, value: toSlider(value), oninput: (/** @type {any} */ e) => {
      const v = fromSlider(Number(e.target.value));
      field.value = plain(v, 4);
      bar.setAttribute("aria-valuetext", `${plain(v, 4)} ${typeof unit === "string" ? unit : ""}`);
      tell(v);
      act(v);
    } });
    bar.setAttribute("aria-valuetext", `${plain(value, 4)} ${typeof unit === "string" ? unit : ""}`);
    tell(value);
    return h("div", { class: "row" }, h("label", { for: id }, name), bar, h("span", { class: "value" }, field, h("span", { class: "unit" }, unit)), warn);
  }

  /** A time with unit. @param {string} key @param {string} name @param {string} text @param {any} range @param {(value: string) => void} act */
  time(key, name, text, range, act) {
    const hours = this.state.units.hours(text), per = range.unit === "min" ? 1 / 60 : range.unit === "d" ? 24 : 1;
    const step = range.unit === "d" ? 0.5 : range.unit === "min" ? 5 : 1;
    return this.slider(key, name, hours / per, { low: range.low / per, high: range.high / per, step: Math.abs(hours / per / step - Math.round(hours / per / step)) < 1e-9 ? step : undefined }, range.unit, (value) => act(`${plain(value, 8)} ${range.unit}`));
  }
}

const ROUTES = /** @type {Record<string, string>} */ ({ iv: "infusion (iv)", im: "into muscle", sc: "under the skin", ip: "into the belly (ip)", nasal: "nasal spray", oral: "by mouth", sublingual: "under the tongue", buccal: "at the cheek" });

/** A dose in the middle of what is usual; two sprays where there are sprays. @param {any} range @param {any} spray */
function usual(range, spray = null) {
  if (spray && spray.unit === range.unit) return `${plain(2 * spray.value, 4)} ${range.unit}`;
  const known = /** @type {Record<string, string>} */ ({ "mg/kg 0.05 2": "0.5 mg/kg", "mg/kg 0.5 250": "10 mg/kg" })[`${range.unit} ${range.low} ${range.high}`];
  return known ?? `${plain(Number(Math.sqrt(Math.max(range.low, range.high / 100) * range.high).toPrecision(1)), 2)} ${range.unit}`;
}

/** The title before its first comma or bracket. @param {string} title @param {string} name */
const short = (title, name) => (title || name).split(/[,;(]/)[0].trim();

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A threshold to begin with: a third of the scale. @param {any} scale */
const threshold = (scale) => Math.round((scale.low + scale.high) / 3);
