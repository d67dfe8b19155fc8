// The chain of plots, from dose to score, with one time cursor.

import { at, h } from "./dom.js";
import { doseTimes } from "./grid.js";
import { Plot } from "./plot.js";
import { valueAt } from "./results.js";
import { named, occasions } from "./schedule.js";
import { shown, timeText } from "./units.js";

const FEW_HOURS = 24; // of the left window

/** @typedef {{name: string, kind: "output" | "scale" | "side"}} Panel */

/** The plots below each other. */
export class Chain {
  /** @param {any} state @param {(name: string) => void} why */
  constructor(state, why) {
    this.state = state;
    this.page = state.page;
    const { scene } = this.page;
    this.panels = /** @type {Panel[]} */ ([
      ...scene.chain.map((/** @type {string} */ name) => ({ name, kind: "output" })),
      ...Object.keys(this.page.scales).map((name) => ({ name, kind: "scale" })),
      ...scene.sideEffects.map((/** @type {string} */ name) => ({ name, kind: "side" })),
    ]);
    this.root = at("chain");
    /** @type {Set<any>} plots that are out of sight and wait for a quiet moment */
    this.waiting = new Set();
    this.build(why);
    this.width = Math.floor(this.root.clientWidth);
    new ResizeObserver(([seen]) => {
      const width = Math.floor(seen.contentRect.width);
      if (width === this.width) return;
      this.width = width;
      if (this.last) this.draw(this.last);
    }).observe(this.root);
    /** @type {Set<any>} */
    this.near = new Set(this.plots.slice(0, 4).map((one) => one.figure));
    const watch = new IntersectionObserver((seen) => {
      for (const one of seen) {
        if (one.isIntersecting) this.near.add(one.target);
        else this.near.delete(one.target);
      }
      if (this.waiting.size) this.flush(true);
    }, { rootMargin: "150px" });
    for (const one of this.plots) watch.observe(one.figure);
    window.addEventListener("beforeprint", () => this.flush());
  }

  /** @param {(name: string) => void} why */
  build(why) {
    this.plots = this.panels.map((panel) => {
      const about = this.about(panel), note = h("p", { class: "note" }), now = h("div", { class: "now" });
      const plot = new Plot({ label: `${about.title}, ${about.unitWords}`, onmove: (hours) => this.state.moveTo(hours) });
      const figure = h("figure", { class: "plot", "data-panel": panel.name },
        h("header", {}, h("button", { type: "button", class: "open", onclick: () => why(panel.name), title: "Why? Opens its equation" }, about.title),
          h("span", { class: "unit" }, [about.unit, about.worse].filter(Boolean).join(", ")), now), plot.svg, note);
      return { panel, about, plot, figure, note, now };
    });
    const children = /** @type {any[]} */ ([h("div", { class: "chain-heads", id: "chain-heads" })]);
    let group = "";
    for (const one of this.plots) {
      const title = { output: "", scale: "What a rater would see", side: "Side effects" }[one.panel.kind];
      if (title && title !== group) children.push(h("p", { class: "group" }, title));
      group = title;
      children.push(one.figure);
    }
    this.root.replaceChildren(...children);
  }

  /** @param {Panel} panel */
  about(panel) {
    const known = panel.kind === "scale" ? this.page.scales[panel.name] : this.page.model.symbols[panel.name];
    const healthy = panel.kind === "scale" ? (known.rule === "severity" || known.rule === "relative" ? known.numbers.healthy : undefined) : this.page.model.healthy[panel.name];
    const label = panel.kind === "scale" ? `${panel.name}: ${known.title}` : capital(known?.label || panel.name.replace(/_/g, " "));
    const plain = !known?.unit || ["1", "dimensionless"].includes(known.unit);
    const unit = plain ? (healthy === 1 ? "times healthy" : known?.note?.length < 60 ? known.note : "") : known.unit;
    const worse = panel.kind === "scale" ? (["severity", "relative"].includes(known.rule) ? "up is worse" : "")
      : known?.worse === "up" ? "up is worse" : known?.worse === "down" ? "down is worse" : "";
    return { title: label, unit, worse, healthy, unitWords: [unit || "no unit", worse].filter(Boolean).join(", "), least: plain && healthy === 1 ? 0.06 : 0 };
  }

  /** Draw what is in sight now, and the rest in a quiet moment. @param {any} solved {times, arms: [{name, curves}], bands} */
  draw(solved) {
    this.last = solved;
    this.windows = this.windowsFor();
    this.shared = { strips: this.strips(), doses: this.doses() };
    this.heads();
    this.waiting = new Set(this.plots);
    this.flush(true);
    clearTimeout(this.later);
    this.later = setTimeout(() => this.flush(), 90);
  }

  /** Draw the plots that wait; those in sight alone, or all. */
  flush(inSight = false) {
    for (const one of [...this.waiting]) {
      if (inSight && !this.near.has(one.figure)) continue;
      this.waiting.delete(one);
      this.drawOne(one);
    }
  }

  /** @param {any} one */
  drawOne(one) {
    const { state, last: solved } = this, k = this.plots.indexOf(one);
    const lines = solved.arms.map((/** @type {any} */ arm) => ({
      colour: state.shown.indexOf(arm.name), times: solved.times, values: arm.curves[one.panel.name] ?? [],
      band: this.band(solved.bands[arm.name], one.panel.name), beyond: solved.beyond[arm.name] || undefined, active: arm.name === state.active,
    }));
    const height = k === this.plots.length - 1 || this.plots[k + 1]?.panel.kind !== one.panel.kind || k % 4 === 3 ? 116 : 94;
    if (one.plot.height !== height || !one.sized) {
      one.sized = true;
      one.plot.height = height;
      one.plot.svg.setAttribute("height", height);
    }
    one.plot.draw({
      width: this.width, windows: this.windows, lines, points: this.points(one.panel, solved), healthy: one.about.healthy || undefined, ...this.shared,
      cursor: state.cursor, numbers: height > 100, least: one.about.least,
    });
    const note = this.note(one.panel, solved);
    if (one.note.textContent !== note) one.note.textContent = note;
    this.valuesOf(one);
  }

  /** Only the cursor moved. */
  move() {
    if (!this.last) return;
    const before = JSON.stringify(this.windows);
    this.windows = this.windowsFor();
    if (JSON.stringify(this.windows) !== before) this.draw(this.last);
    else for (const one of this.plots) if (!this.waiting.has(one)) (one.plot.moveCursor(this.state.cursor), this.valuesOf(one));
  }

  /** The hours after the last dose before the cursor, and the whole study. */
  windowsFor() {
    const { state } = this, whole = { from: state.first, to: state.last, share: 1.55, zero: state.start, inDays: state.last - state.first > 72 };
    const doses = this.state.shown.flatMap((/** @type {string} */ name) => doseTimes(state.study.arms[name], state.units)).sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
    const seen = doses.filter((/** @type {number} */ time) => time >= state.first && time < state.last - 1);
    if (!seen.length || state.last - state.first <= 48) return [whole];
    const dose = seen.filter((/** @type {number} */ time) => time <= state.cursor + 1e-9).pop() ?? seen[0];
    if (this.width < 520) return [whole];
    return [{ from: dose - 1, to: Math.min(dose + FEW_HOURS, state.last), share: 1, zero: dose, inDays: false }, whole];
  }

  heads() {
    const [first, second] = this.windows, days = this.state.last - this.state.first > 72;
    const what = second ? `Left: hours after the dose at ${timeText(first.zero - this.state.start)}. Right: ${days ? "days" : "hours"} of the whole study.` : `Time in ${days ? "days" : "hours"}.`;
    const marks = [this.shared?.strips.length ? "hatched: stress" : "", "triangles: doses", "dotted: healthy", this.page.points.some((/** @type {any} */ p) => p.placed) ? "circles: published and used to fit, diamonds: never fitted, squares: background" : ""].filter(Boolean).join("; ");
    const text = `${what} ${marks.charAt(0).toUpperCase()}${marks.slice(1)}.`;
    if (at("chain-heads").textContent !== text) at("chain-heads").textContent = text;
  }

  /** @param {any} bands @param {string} name */
  band(bands, name) {
    const found = bands?.bands[name];
    return found ? { times: bands.times, low: found[0], high: found[2] } : undefined;
  }

  strips() {
    const { state } = this, found = [];
    for (const one of state.arm.exposures ?? []) {
      const file = this.page.treatments.exposures[named(this.page.treatments.exposures, one.exposure)];
      if (file?.sets.stress === undefined || file.kind !== "level" || one.level === 0) continue;
      found.push({ from: state.units.hours(one.from), to: one.until ? state.units.hours(one.until) : Infinity });
    }
    const held = this.page.people.history.some((/** @type {any} */ phase) => phase.inputs.includes("stress") && this.page.people.typical[`history_stress${phase.suffix}`] > 0);
    const over = (state.arm.exposures ?? []).filter((/** @type {any} */ one) => this.page.treatments.exposures[one.exposure]?.sets.stress !== undefined).map((/** @type {any} */ one) => state.units.hours(one.from));
    if (held) found.push({ from: state.first, to: Math.min(...over, Infinity) });
    return found.map((one) => ({ from: one.from, to: Math.min(one.to, 1e7) }));
  }

  doses() {
    const { state } = this;
    return state.shown.flatMap((/** @type {string} */ name, /** @type {number} */ colour) => {
      const arm = state.study.arms[name];
      const pulses = (arm.exposures ?? []).filter((/** @type {any} */ one) => one.at).flatMap((/** @type {any} */ one) => occasions(one, state.units));
      return [...state.doseHours(name), ...pulses].map((time) => ({ time, colour }));
    });
  }

  /** Published results on this curve. @param {Panel} panel @param {any} solved */
  points(panel, solved) {
    const { state } = this;
    return this.page.points.filter((/** @type {any} */ p) => p.of === panel.name && p.placed && state.shown.includes(p.arm)).map((/** @type {any} */ p) => {
      const colour = state.shown.indexOf(p.arm), arm = solved.arms.find((/** @type {any} */ one) => one.name === p.arm);
      const base = p.kind === "change" && arm ? valueAt(solved.times, arm.curves[panel.name], state.start) : 0;
      const control = p.control ? solved.arms.find((/** @type {any} */ one) => one.name === p.control) : null;
      const factor = !p.control ? 1 : (control ? valueAt(solved.times, control.curves[panel.name], p.time) : (this.page.model.healthy[panel.name] ?? 1)) / 100;
      const at = (/** @type {number | null} */ v) => (v === null ? null : v * factor + base);
      const words = { own: "your own", fit: "used to fit the model", validate: "never fitted", context: "background" }[/** @type {string} */ (p.role)] ?? p.role;
      const value = p.kind === "change" ? `change ${shown(p.value)}` : shown(p.value);
      const text = `${p.role === "own" ? "Own data" : "Published"}: ${p.study}, ${p.what}, ${value}${p.low !== null && p.low !== p.high ? ` (${shown(p.low)} to ${shown(p.high)})` : ""}${p.n ? `, n ${p.n}` : ""}, ${words}${p.doi ? `, doi:${p.doi}` : ""}`;
      return { time: p.time, value: p.value * factor + base, low: at(p.low), high: at(p.high), role: p.role, colour, text };
    });
  }

  /** Published results of this curve that the model misses. @param {string} name @returns {any[]} */
  misses(name) {
    this.missed ??= new Map();
    if (!this.missed.has(name)) {
      const ids = new Set(this.page.points.filter((/** @type {any} */ p) => p.of === name).map((/** @type {any} */ p) => p.id));
      this.missed.set(name, ids.size ? this.page.record.rows.filter((/** @type {any} */ r) => r.inside === false && ids.has(r.id)) : []);
    }
    return this.missed.get(name);
  }

  /** What must be said at the curve itself. @param {Panel} panel @param {any} solved */
  note(panel, solved) {
    const { state } = this, parts = [];
    const words = this.page.points.filter((/** @type {any} */ p) => p.of === panel.name && !p.placed && state.shown.includes(p.arm));
    if (words.length) parts.push(`Published for ${words.length === 1 ? "this trial" : "trials of this kind"}, not on the curve: ${words.slice(0, 3).map((/** @type {any} */ p) => `${p.what} ${shown(p.value)} ${p.unit} (${p.study})`).join("; ")}.`);
    if (panel.kind === "scale") parts.push("Typical person, without rating error; expectancy at its mean.");
    if (panel.name === "ideation") parts.push("A group mean of a research scale; it says nothing about a person.");
    const failing = this.misses(panel.name);
    if (failing.length) parts.push(`Here the model misses ${failing.length === 1 ? "a published result" : `${failing.length} published results`}: ${failing.slice(0, 2).map((/** @type {any} */ r) => `${r.what}, published ${shown(r.published)}, predicted ${shown(r.predicted)} (${shown(r.low)} to ${shown(r.high)})`).join("; ")}.`);
    if (Object.values(solved.beyond).some(Boolean)) parts.push("Dotted: beyond the range that was studied.");
    return parts.join(" ");
  }

  /** Every scenario's value at the cursor, beside the title. @param {any} one */
  valuesOf(one) {
    const { times, arms } = this.last, { state } = this, names = arms.map((/** @type {any} */ arm) => arm.name).join("\n");
    if (one.names !== names) {
      one.names = names;
      one.spans = arms.map(() => h("span", { class: "value" }));
      one.now.replaceChildren(...arms.map((/** @type {any} */ arm, /** @type {number} */ k) => h("span", { class: `c${state.shown.indexOf(arm.name)}` }, h("span", { class: "hidden" }, `${arm.name}: `), one.spans[k])));
    }
    const curves = arms.map((/** @type {any} */ arm) => arm.curves[one.panel.name]);
    if (one.of !== this.last) {
      one.of = this.last;
      one.most = Math.max(...curves.map((/** @type {any} */ curve) => largest(curve ?? [])));
    }
    curves.forEach((/** @type {any} */ curve, /** @type {number} */ k) => {
      const text = curve ? besides(valueAt(times, curve, state.cursor), one.most) : "–";
      if (one.spans[k].textContent !== text) one.spans[k].textContent = text;
    });
  }
}

/** With a capital, unless the word has its own spelling. @param {string} text */
export const capital = (text) => (/[A-Z]/.test(text[1] ?? "") ? text : text.charAt(0).toUpperCase() + text.slice(1));

/** @param {ArrayLike<number>} curve */
function largest(curve) {
  let most = 0;
  for (let k = 0; k < curve.length; k++) if (Math.abs(curve[k]) > most) most = Math.abs(curve[k]);
  return most;
}

/** A value with the decimals that matter beside the curve's largest. @param {number} value @param {number} most */
const besides = (value, most) => (Math.abs(value) < most / 2000 ? "0" : Math.abs(value) < most / 20 ? shown(value, 2) : shown(value));
