// The living dendrite, the sentence and the four numbers, at the cursor's time.

import { Dendrite, LEGEND, ONE_MARK } from "./dendrite.js";
import { at, h, s } from "./dom.js";
import { valueAt } from "./results.js";
import { shown } from "./units.js";
import { clock, percent, reference, sentence } from "./words.js";

const READ = ["spine_filopodium", "spine_thin", "spine_mushroom", "spine_total", "spine_head_size", "ampa_gain", "dendrite_arbor", "circuit", "nmdar_occupancy", "synapse_number"];

/** Everything above the time bar. */
export class Stage {
  /** @param {any} state */
  constructor(state) {
    this.state = state;
    this.alive = state.page.model.description.outputs.includes("spine_mushroom");
    this.seed = state.page.study.seed + 11;
    this.shape = "";
    /** @type {any[]} */
    this.drawings = [];
    if (!this.alive) {
      at("dendrites").hidden = true;
      /** @type {any} */ (document.querySelector(".legend")).hidden = true;
    } else at("legend").replaceChildren(h("ul", {}, LEGEND.map(([line, radius, words]) => h("li", {}, s("svg", { viewBox: "0 0 26 22", "aria-hidden": "true" }, s("path", { class: "stalk", d: line, "stroke-width": 1.2 }), Number(radius) ? s("circle", { class: "head", cx: String(line).split(/[ML ]/)[3], cy: String(line).split(" ").pop(), r: radius }) : null), words)), h("li", {}, `${ONE_MARK}; the length of the tree is the model's arbor`), h("li", {}, "the soma's strength is the circuit's; a violet haze is drug at its receptors")));
  }

  /** @param {any} solved */
  draw(solved) {
    this.solved = solved;
    const names = this.state.shown, trio = names.length === 1;
    const shape = JSON.stringify([names, trio]);
    if (this.alive && shape !== this.shape) {
      this.shape = shape;
      const wanted = trio ? ["before", "now", "end"] : names;
      this.drawings = wanted.map((/** @type {string} */ which) => {
        const dendrite = new Dendrite(this.seed), caption = h("figcaption", {});
        return { which, dendrite, svg: dendrite.svg, captionAt: caption, caption: "", figure: h("figure", { class: trio && which !== "now" ? "small" : "" }, dendrite.svg, caption) };
      });
      const root = at("dendrites");
      root.className = `dendrites ${trio ? "trio" : "side"}`;
      root.style.setProperty("--columns", String(wanted.length));
      root.replaceChildren(...this.drawings.map((one) => one.figure));
    }
    this.move();
  }

  move() {
    if (!this.solved) return;
    const { state } = this, many = state.shown.length > 1;
    if (this.alive) {
      for (const one of this.drawings) {
        const trio = ["before", "now", "end"].includes(one.which) && !many, name = trio ? state.shown[0] : one.which;
        const time = !trio || one.which === "now" ? state.cursor : one.which === "end" ? state.last : reference(state, name);
        const now = this.at(name, time), colour = state.shown.indexOf(name);
        const head = trio ? { before: "before the first treatment", now: `now: ${clock(state, time)}`, end: `at the end: ${clock(state, time)}` }[/** @type {string} */ (one.which)] : name;
        one.caption = `${head}: spines ${percent(now.spine_total)}, heads ${percent(now.spine_head_size)}, arbor ${percent(now.dendrite_arbor)} of healthy`;
        one.dendrite.show(now, `Dendrite, ${one.caption}`);
        one.captionAt.replaceChildren(h("b", { class: many ? `c${colour} who` : "" }, head), h("br"), `spines ${percent(now.spine_total)}, heads ${percent(now.spine_head_size)}, arbor ${percent(now.dendrite_arbor)}`);
      }
    }
    const name = state.active, words = sentence(state, name, (one, hours) => this.value(name, one, hours), many ? name : "");
    if (at("sentence").textContent !== words) at("sentence").textContent = words;
    this.numbers();
  }

  numbers() {
    const { state } = this, now = (/** @type {string} */ one) => this.value(state.active, one, state.cursor);
    const wanted = this.alive ? [["synapse_number", "connections, of healthy"], ["dendrite_arbor", "dendrite, of healthy"], ["circuit", "circuit, of healthy"], ["symptom", "symptom, 0 to 1"]] : state.page.scene.lookAt.map((/** @type {string} */ one) => [one, one]);
    at("numbers").replaceChildren(...wanted.map(([one, words]) => h("span", {}, h("b", {}, one === "symptom" || !this.alive ? shown(now(one), 2) : percent(now(one))), ` ${words}`)));
  }

  /** @param {string} arm @param {number} time */
  at(arm, time) {
    return Object.fromEntries(READ.map((one) => [one, this.value(arm, one, time)]).filter(([, value]) => Number.isFinite(value)));
  }

  /** @param {string} arm @param {string} name @param {number} time */
  value(arm, name, time) {
    const curve = this.solved.arms.find((/** @type {any} */ one) => one.name === arm)?.curves[name];
    return curve ? valueAt(this.solved.times, curve, time) : NaN;
  }
}
