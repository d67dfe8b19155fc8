// "Why?": the equation of a curve, its numbers with their sources, what feeds it and what it feeds, module by module.

import { h } from "./dom.js";
import { capital } from "./chain.js";
import { shown } from "./units.js";

/** The panel's content for a symbol of the model. */
export class Why {
  /** @param {any} page @param {{moves: (output: string) => Promise<any>, valueNow: (name: string) => number, go: (name: string) => void, change: (name: string, value: number) => void, changed: () => Record<string, number>}} ask */
  constructor(page, ask) {
    this.page = page;
    this.ask = ask;
    this.symbols = page.model.symbols;
    /** @type {Record<string, string[]>} */
    this.feeds = {};
    for (const [name, one] of Object.entries(this.symbols)) for (const used of one.uses ?? []) (this.feeds[used] ??= []).push(name);
  }

  /** @param {string} name @returns {any[]} */
  show(name) {
    const scale = this.page.scales[name];
    if (scale) return this.scale(name, scale);
    const one = this.symbols[name];
    if (!one) return [h("p", {}, "The model has nothing of this name."), this.modules("")];
    const parts = [h("p", {}, [one.label && capital(one.label), one.note].filter(Boolean).join("; ") || "No description.", " ", this.now(name))];
    if (one.equation) parts.push(h("h3", {}, one.role === "state" ? "Equation (rate of change, per hour)" : "Equation"), h("div", { class: "equation", tabindex: "0", role: "group", "aria-label": "Equation" }, one.equation));
    if (one.role === "input") parts.push(h("p", {}, "An input: what is done sets it, no equation does."));
    parts.push(...this.moves(name), ...this.numbers(name, one), h("h3", {}, "What feeds it and what it feeds"), this.flow(name, one), h("h3", {}, "The model, module by module"), this.modules(one.module));
    return parts;
  }

  /** @param {string} name */
  now(name) {
    const value = this.ask.valueNow(name);
    return Number.isFinite(value) ? h("strong", {}, `At the cursor: ${shown(value)}${unitOf(this.symbols[name])}.`) : "";
  }

  /** The three parameters that move it most, found by solving with each at both ends of its belief. @param {string} name */
  moves(name) {
    if (!this.page.model.description.outputs.includes(name)) return [];
    const place = h("div", { role: "status", id: "moves" }, h("p", { class: "fine" }, "Solving with every number that reaches it at both ends of its belief ..."));
    this.ask.moves(name).then((found) => {
      if (!found) return;
      const rows = found.most.map((/** @type {any} */ m) => {
        const about = this.symbols[m.name];
        return h("tr", {}, h("td", {}, this.link(m.name)), h("td", { class: "n" }, shown(m.size)), h("td", {}, about.label ?? about.note ?? ""), h("td", { class: "n" }, belief(about)), h("td", {}, status(about)));
      });
      place.replaceChildren(rows.length ? table("moves it most", ["parameter", ["largest change", "n"], "what it is", ["90 % belief", "n"], "status"], rows) : h("p", {}, "No number of the model moves it here."),
        h("p", { class: "fine" }, `The largest change of this curve in the active scenario when one number at a time goes to either end of its 90 % belief; ${found.tried} numbers tried.`));
    }, (error) => place.replaceChildren(h("p", {}, String(error.message ?? error))));
    return [h("h3", {}, "What moves it most here"), place];
  }

  /** @param {string} name @param {any} one */
  numbers(name, one) {
    const own = one.role === "parameter" ? [name] : (one.uses ?? []).filter((/** @type {string} */ s) => this.symbols[s]?.role === "parameter");
    if (!own.length) return [];
    const changed = this.ask.changed();
    const rows = own.map((/** @type {string} */ id) => {
      const p = this.symbols[id];
      const field = h("input", { type: "number", step: "any", value: String(changed[id] ?? p.value), "aria-label": `Try another value of ${id}`, min: p.low, max: p.high, title: p.low === undefined ? "" : `within its belief, ${shown(p.low)} to ${shown(p.high)}`, onchange: (/** @type {any} */ e) => {
        const value = Number(e.target.value), good = e.target.value !== "" && Number.isFinite(value) && (p.low === undefined || (value >= p.low && value <= p.high));
        e.target.setAttribute("aria-invalid", String(!good));
        if (good) this.ask.change(id, value);
      } });
      return h("tr", { class: p.status === "assumed" ? "assumed" : null }, h("td", {}, this.link(id)), h("td", { class: "n" }, shown(p.value, 4)), h("td", {}, p.unit === "1" ? "" : (p.unit ?? "")), h("td", { class: "n" }, belief(p)), h("td", {}, status(p)), h("td", {}, this.sources(p)), h("td", {}, field));
    });
    return [h("h3", {}, own[0] === name ? "The number" : "Its parameters"), table("parameters", ["parameter", ["value", "n"], "unit", ["90 % belief", "n"], "status", "source", "try"], rows),
      one.role === "parameter" && one.note ? h("p", { class: "fine" }, one.note) : null].filter(Boolean);
  }

  /** @param {any} p */
  sources(p) {
    const keys = String(p.source ?? "").split(";").map((k) => k.trim()).filter(Boolean);
    if (!keys.length) return p.note ? `assumed: ${p.note}` : "";
    return keys.map((key, k) => {
      const ref = this.page.sources[key], text = ref ? `${(ref.author ?? key).split(",")[0]} ${ref.year ?? ""}`.trim() : key;
      return [k ? "; " : "", ref?.doi ? h("a", { href: `https://doi.org/${ref.doi}`, rel: "noreferrer", target: "_blank", title: ref.title ?? "" }, text) : text];
    }).concat(p.where ? [` (${p.where})`] : []);
  }

  /** @param {string} name @param {any} one */
  flow(name, one) {
    const list = (/** @type {string[]} */ names, /** @type {string} */ label) => h("ul", { "aria-label": label }, names.length ? names.map((n) => h("li", {}, h("button", { type: "button", onclick: () => this.ask.go(n), title: n }, this.title(n)))) : h("li", { class: "fine" }, "nothing"));
    const before = (one.uses ?? []).filter((/** @type {string} */ s) => this.symbols[s] && this.symbols[s].role !== "parameter");
    return h("div", { class: "flow" }, list(before, "What feeds it"), h("span", { class: "arrow", "aria-hidden": "true" }, "→"),
      h("ul", {}, h("li", {}, h("button", { type: "button", class: "here", disabled: true }, this.title(name)))), h("span", { class: "arrow", "aria-hidden": "true" }, "→"), list((this.feeds[name] ?? []).slice(0, 24), "What it feeds"));
  }

  /** @param {string} open module that stands open */
  modules(open) {
    const groups = /** @type {Record<string, string[]>} */ ({});
    for (const [name, one] of Object.entries(this.symbols)) if (one.role !== "parameter") (groups[one.module || this.page.model.name] ??= []).push(name);
    const of = (/** @type {string} */ name) => this.symbols[name]?.module || this.page.model.name;
    return h("div", {}, Object.entries(groups).map(([module, names]) => {
      const inside = new Set(names.flatMap((n) => this.symbols[n].uses ?? []).filter((u) => this.symbols[u]?.role !== "parameter").map(of));
      const outside = new Set(names.flatMap((n) => this.feeds[n] ?? []).filter((u) => this.symbols[u]?.role !== "parameter").map(of));
      inside.delete(module);
      outside.delete(module);
      return h("details", { open: module === open }, h("summary", {}, module.replace(/_/g, " "), h("span", { class: "fine" }, ` ${inside.size ? `fed by ${[...inside].join(", ")}` : ""}${inside.size && outside.size ? "; " : ""}${outside.size ? `feeds ${[...outside].join(", ")}` : ""}`)),
        h("div", { class: "away" }, names.map((n) => h("button", { type: "button", onclick: () => this.ask.go(n), title: n }, this.title(n)))));
    }));
  }

  /** @param {string} name @param {any} scale */
  scale(name, scale) {
    const n = scale.numbers;
    const rule = { severity: "score = healthy + (baseline − healthy) × severity ^ power; severity is 1 at the first visit and 0 in health, and is lowered by expectancy", relative: "score = healthy + (baseline − healthy) × severity ^ power; severity is 1 at the first visit", rise: "score = baseline + gain × (output − output at the first visit)", level: "score = background + gain × output" }[/** @type {string} */ (scale.rule)];
    return [h("p", {}, `${scale.title}: from ${scale.low} to ${scale.high} ${scale.unit}.`), h("h3", {}, "Rule"), h("div", { class: "equation", tabindex: "0", role: "group", "aria-label": "Rule" }, String(rule)),
      h("p", {}, "It reads ", this.link(scale.output), "."), h("h3", {}, "Its numbers"), table("numbers", ["number", ["value", "n"]], Object.entries(n).map(([key, value]) => h("tr", {}, h("td", {}, key.replace(/_/g, " ")), h("td", { class: "n" }, shown(Number(value), 4))))),
      h("h3", {}, "The model, module by module"), this.modules(this.symbols[scale.output]?.module ?? "")];
  }

  /** @param {string} name */
  link(name) {
    return h("button", { type: "button", class: "link", onclick: () => this.ask.go(name) }, name);
  }

  /** @param {string} name */
  title(name) {
    const label = this.symbols[name]?.label;
    return label ? capital(label) : name.replace(/_/g, " ");
  }

  /** Numbers that reach an output, through everything that feeds it. @param {string} name @returns {string[]} */
  reaching(name) {
    const start = this.page.scales[name]?.output ?? name, seen = new Set([start]), stack = [start], found = new Set();
    while (stack.length) {
      for (const used of this.symbols[stack.pop() ?? ""]?.uses ?? []) {
        if (this.symbols[used]?.role === "parameter") found.add(used);
        else if (!seen.has(used)) {
          seen.add(used);
          stack.push(used);
        }
      }
    }
    return /** @type {string[]} */ ([...found]);
  }
}

/** @param {string} label @param {any[]} heads @param {any[]} rows */
export function table(label, heads, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Table: ${label}` }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((one) => (Array.isArray(one) ? h("th", { class: one[1], scope: "col" }, one[0]) : h("th", { scope: "col" }, one))))), h("tbody", {}, rows)));
}

/** @param {any} p */
const belief = (p) => (p?.low !== undefined && p?.high !== undefined && p.low !== p.high ? `${shown(p.low)} to ${shown(p.high)}` : "fixed");

/** @param {any} p */
const status = (p) => p?.status ?? "";

/** @param {any} one */
const unitOf = (one) => (one?.unit && one.unit !== "1" ? ` ${one.unit}` : "");
