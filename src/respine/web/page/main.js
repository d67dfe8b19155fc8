// The page: read what it holds, start the solvers, and redraw everything whenever something changes.

import { Chain } from "./chain.js";
import { Controls } from "./controls.js";
import { at } from "./dom.js";
import { gridOf } from "./grid.js";
import { named } from "./schedule.js";
import { machine, sceneChoice } from "./machine.js";
import { share } from "./share.js";
import { Solver } from "./solver.js";
import { Stage } from "./stage.js";
import { State, fromText, through } from "./state.js";
import { about, claims, evidence } from "./tables.js";
import { Units, split } from "./units.js";
import { Why } from "./why.js";
import { clock } from "./words.js";

const COHORT_WAITS = 220; // ms of rest before people are solved
const WORDS = /** @type {Record<string, number>} */ ({ inf: Infinity, "-inf": -Infinity, nan: NaN });

/** @param {string} id */
const bytesOf = async (id) => through(new DecompressionStream("gzip"), fromText(at(id).textContent));

/** The running page. */
class App {
  /** @param {any} page @param {Solver} quick @param {Solver} slow */
  constructor(page, quick, slow) {
    this.page = page;
    this.quick = quick;
    this.slow = slow;
    this.units = new Units(page.treatments);
    this.state = new State(page, this.units);
    this.controls = new Controls(this.state);
    this.stage = new Stage(this.state);
    this.why = new Why(page, {
      moves: (output) => this.moves(output), go: (name) => this.open("why", name), valueNow: (name) => this.stage.solved ? this.stage.value(this.state.active, name, this.state.cursor) : NaN,
      change: (name, value) => this.state.edit((/** @type {any} */ arm) => (arm.parameters = { ...arm.parameters, [name]: value })), changed: () => this.state.arm.parameters ?? {},
    });
    this.chain = new Chain(this.state, (name) => this.open("why", name));
    /** @type {Record<string, any>} */
    this.bands = {};
    this.state.listeners.push((what) => this.changed(what));
  }

  async start() {
    const { scene, model } = this.page;
    at("scene-title").textContent = scene.title;
    if (scene.tries.length) at("tries").textContent = `Try: ${scene.tries.join(" ")}`;
    at("help").hidden = ![...scene.chain, ...Object.keys(this.page.scales)].some((name) => /ideation|SSI|SUICIDE/.test(name));
    /** @type {any} */ (document.querySelector("[data-open=machine]")).hidden = !document.body.dataset.server;
    if (document.body.dataset.server) {
      sceneChoice(JSON.parse(document.body.dataset.server), scene.name).then((choice) => at("scene-title").replaceChildren(choice), () => undefined);
    }
    if (!model.library) for (const one of ["claims", "evidence"]) /** @type {any} */ (document.querySelector(`[data-open=${one}]`)).hidden = true;
    this.listen();
    if (location.hash.length > 1) await this.restore();
    this.controls.draw();
    await this.solve();
    window.addEventListener("hashchange", () => location.hash.slice(1) !== this.hash && this.restore());
    document.body.dataset.ready = "true";
    performance.mark("ready");
  }

  listen() {
    const cursor = at("cursor");
    cursor.addEventListener("input", () => this.state.moveTo(this.fromBar(Number(cursor.value))));
    at("back").addEventListener("click", () => this.step(-1));
    at("forth").addEventListener("click", () => this.step(1));
    at("play").addEventListener("click", () => this.play());
    for (const one of document.querySelectorAll("[data-open]")) one.addEventListener("click", () => this.open(/** @type {any} */ (one).dataset.open));
    at("panel-close").addEventListener("click", () => at("panel").close());
    at("sheet-open").addEventListener("click", () => this.sheet(true));
    at("sheet-close").addEventListener("click", () => this.sheet(false));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.sheet(false));
  }

  /** @param {boolean} open */
  sheet(open) {
    const was = at("controls").classList.contains("open");
    at("controls").classList.toggle("open", open);
    at("sheet-open").setAttribute("aria-expanded", String(open));
    if (open) at("controls").focus();
    else if (was) at("sheet-open").focus();
  }

  /** @param {string} what */
  changed(what) {
    if (what === "cursor") {
      this.stage.move();
      this.chain.move();
      this.bar();
    } else if (what === "view") {
      this.controls.draw();
      if (this.stage.solved) this.redraw(this.stage.solved);
      this.askCohort();
    } else {
      this.controls.draw();
      this.solve();
    }
    this.remember();
  }

  async solve() {
    const { state } = this, arms = [...state.shown];
    const times = gridOf(state.study, arms, this.units, state.first, state.last);
    try {
      const found = await this.quick.ask("typical", { study: state.study, arms, times });
      if (!found) return; // overtaken
      this.broken = false;
      state.given = Object.fromEntries(found.arms.map((/** @type {any} */ one) => [one.name, one.given]));
      this.controls.told();
      const failed = found.arms.filter((/** @type {any} */ one) => one.status !== 0);
      this.say(failed.length ? `${failed.map((/** @type {any} */ one) => one.name).join(", ")}: could not be solved past ${clock(state, failed[0].endTime)}. Take a smaller dose.` : "", failed.length > 0);
      this.redraw({ times, arms: found.arms, bands: this.bandsFor(arms), beyond: this.beyond(arms) });
      document.body.dataset.solved = String(Number(document.body.dataset.solved ?? 0) + 1);
      this.milliseconds = found.milliseconds;
      this.askCohort();
    } catch (error) {
      this.broken = true; // the band of the study before must not speak over this
      clearTimeout(this.cohortTimer);
      this.say(`This cannot be computed: ${/** @type {any} */ (error).message ?? error}`, true);
    }
  }

  /** Bands that still belong to what is drawn. @param {string[]} arms */
  bandsFor(arms) {
    return Object.fromEntries(arms.filter((name) => this.bands[name]?.key === this.keyOf(name)).map((name) => [name, this.bands[name]]));
  }

  /** @param {string} name */
  keyOf(name) {
    const { study, first, last } = this.state;
    return JSON.stringify([study.arms[name], study.rules, study.covariates, study.parameters, first, last]);
  }

  /** Scenarios whose dose left the range that was studied. @param {string[]} arms */
  beyond(arms) {
    return Object.fromEntries(arms.map((name) => [name, (this.state.study.arms[name].doses ?? []).some((/** @type {any} */ one) => {
      const { drugs } = this.page.treatments, route = drugs[named(drugs, one.drug ?? "")]?.routes[one.route], parts = split(one.amount ?? "");
      const range = route?.dose.find((/** @type {any} */ d) => d.unit === parts?.unit);
      return range && parts && (parts.number < range.low || parts.number > range.high);
    })]));
  }

  /** @param {any} solved */
  redraw(solved) {
    this.stage.draw(solved);
    this.chain.draw(solved);
    this.bar();
  }

  askCohort() {
    clearTimeout(this.cohortTimer);
    this.cohortTimer = setTimeout(() => this.cohort(), COHORT_WAITS);
  }

  /** 200 people of every shown scenario, the active one first. */
  async cohort() {
    if (this.page.people.cohort.n < 2) return;
    const { state } = this, wanted = [state.active, ...state.shown.filter((/** @type {string} */ one) => one !== state.active)];
    for (const name of wanted) {
      const key = this.keyOf(name);
      if (this.bands[name]?.key === key) continue;
      const times = gridOf(state.study, [name], this.units, state.first, state.last, 70);
      try {
        const found = await this.slow.ask("cohort", { study: state.study, arm: name, times }, true);
        if (!found || this.broken) return;
        this.bands[name] = { ...found, times, key };
        if (this.stage.solved) this.redraw({ ...this.stage.solved, bands: this.bandsFor(state.shown) });
        this.say(`Band: 5 to 95 % of ${found.n} virtual people${found.failed ? `; ${found.failed} could not be solved to the end` : ""}.`);
        document.body.dataset.cohort = String(Math.round(found.milliseconds));
      } catch (error) {
        if (!this.broken) this.say(`The band of people could not be computed: ${/** @type {any} */ (error).message ?? error}`, true);
      }
    }
  }

  /** @param {string} output */
  moves(output) {
    const { state } = this;
    const names = this.why.reaching(output);
    const times = gridOf(state.study, [state.active], this.units, state.first, state.last, 50);
    return this.slow.ask("moves", { study: state.study, arm: state.active, output, times, names }, true);
  }

  /** @param {string} text @param {boolean} wrong */
  say(text, wrong = false) {
    at("status").textContent = text;
    at("status").classList.toggle("wrong", wrong);
  }

  // ---- time -------------------------------------------------------------------------------------------------------

  /** @param {number} value */
  fromBar(value) {
    return this.state.first + ((this.state.last - this.state.first) * value) / 1000;
  }

  bar() {
    const { state } = this, text = clock(state, state.cursor);
    const value = String(Math.round((1000 * (state.cursor - state.first)) / (state.last - state.first)));
    if (at("cursor").value !== value) at("cursor").value = value;
    at("cursor").setAttribute("aria-valuetext", text);
    at("clock").textContent = text;
  }

  /** @param {number} direction */
  step(direction) {
    const span = this.state.last - this.state.first;
    const size = [1, 2, 4, 6, 12, 24, 48, 168].find((one) => span / one <= 120) ?? span / 120;
    this.state.moveTo(Math.round((this.state.cursor + direction * size) / size) * size);
  }

  play() {
    const button = at("play"), on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Pause" : "Play";
    if (!on) return cancelAnimationFrame(this.frame ?? 0);
    if (this.state.cursor >= this.state.last - 1e-6) this.state.moveTo(this.state.first);
    const span = this.state.last - this.state.first, pace = span / 24000; // hours a millisecond: the whole study in 24 s
    let before = performance.now();
    const tick = (/** @type {number} */ now) => {
      this.state.moveTo(this.state.cursor + (now - before) * pace);
      before = now;
      if (this.state.cursor >= this.state.last - 1e-6) this.play();
      else this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  // ---- panels and links -------------------------------------------------------------------------------------------

  /** @param {string} what @param {string} name */
  open(what, name = this.page.scene.lookAt[0] ?? this.page.scene.chain[0]) {
    const known = this.page.model.symbols[name];
    const [title, body] = {
      why: () => [`Why? ${known?.label || name}`, this.why.show(name)],
      claims: () => ["The article's claims", claims(this.page)],
      evidence: () => ["Evidence", evidence(this.page)],
      about: () => ["About this page", about(this.page)],
      share: () => ["Take away", share(this.state, this.chain, () => this.stage.solved, this.stage.drawings)],
      machine: () => ["A trial on this machine", machine(this.state, JSON.parse(document.body.dataset.server || "{}"))],
    }[what]?.() ?? ["", []];
    at("panel-title").textContent = title;
    at("panel-body").replaceChildren(...body.filter(Boolean));
    if (!at("panel").open) at("panel").showModal();
    at("panel").scrollTop = 0;
  }

  remember() {
    clearTimeout(this.linkTimer);
    this.linkTimer = setTimeout(async () => {
      this.hash = await this.state.link();
      try {
        history.replaceState(null, "", `#${this.hash}`);
      } catch {
        // a browser may forbid it for a file, or limit how often
      }
      window.dispatchEvent(new CustomEvent("respine-study", { detail: this.state.takeAway }));
    }, 250);
  }

  async restore() {
    try {
      await this.state.restore(location.hash.slice(1));
      this.controls.refresh();
    } catch (error) {
      this.say(`The link could not be read (${/** @type {any} */ (error).message ?? error}); the scene stands as it was made.`, true);
    }
  }
}

async function begin() {
  const [data, module] = await Promise.all([bytesOf("data"), bytesOf("module")]);
  const page = JSON.parse(new TextDecoder().decode(data), (_, value) => (typeof value === "string" && value in WORDS ? WORDS[value] : value));
  const { numbers } = page.people.cohort;
  const cohort = fromText(numbers).buffer;
  delete page.people.cohort.numbers;
  const script = URL.createObjectURL(new Blob([fromText(at("worker").textContent)], { type: "text/javascript" }));
  const quick = new Solver(script), slow = new Solver(script);
  await Promise.all([quick, slow].map((one) => one.open(page, module.buffer, cohort)));
  const app = new App(page, quick, slow);
  /** @type {any} */ (window).respine = app;
  await app.start();
}

begin().catch((error) => {
  document.body.dataset.failed = String(error?.message ?? error);
  at("status").textContent = `This page could not start: ${error?.message ?? error}. It needs a browser of 2023 or later.`;
  at("sentence").textContent = at("status").textContent;
});
