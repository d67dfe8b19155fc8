// Plots as SVG: one quantity over time in two windows that share their y axis. Written for this page, exported and printed as it is.

import { put, s } from "./dom.js";
import { shown } from "./units.js";

const LEFT = 52, RIGHT = 10, TOP = 8, BOTTOM = 20, GAP = 26;

/**
 * Round steps for an axis.
 * @param {number} low @param {number} high @param {number} count
 */
export function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((one) => one >= raw * 0.999) ?? raw;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Math.abs(k * step) < step * 1e-9 ? 0 : k * step);
  return found;
}

/** Steps of hours that read well. @param {number} low @param {number} high @param {number} count */
export function timeTicks(low, high, count) {
  const span = (high - low) / count;
  const step = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 72, 96, 168, 336, 672, 1344, 2688].find((one) => one >= span) ?? span;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9; k++) found.push(k * step);
  return found;
}

/** One panel. `windows`: [{from, to, share, inDays}] in hours on the study's clock. */
export class Plot {
  /** @param {{label: string, height?: number, onmove: (hours: number) => void}} settings */
  constructor(settings) {
    this.settings = settings;
    this.height = settings.height ?? 104;
    this.under = s("g", { "aria-hidden": "true" });
    this.marks = s("g", { "aria-hidden": "true" });
    this.over = s("g");
    this.svg = s("svg", { role: "group", "aria-label": settings.label, height: this.height }, this.under, this.marks, this.over);
    this.frame = "";
    /** @type {any[]} */
    this.cursors = [];
    this.listen();
  }

  listen() {
    let held = false;
    const move = (/** @type {PointerEvent} */ event) => {
      const box = this.svg.getBoundingClientRect(), x = event.clientX - box.left;
      const found = this.windows?.find((/** @type {any} */ w) => x >= w.x0 - 12 && x <= w.x1 + 12);
      if (found) this.settings.onmove(Math.min(Math.max(found.from + ((x - found.x0) / (found.x1 - found.x0)) * (found.to - found.from), found.from), found.to));
    };
    this.svg.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      held = true;
      move(event);
    });
    window.addEventListener("pointerup", () => (held = false));
    this.svg.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => held && move(event));
  }

  /**
   * Draw it anew.
   * @param {{width: number, windows: any[], lines: any[], points: any[], healthy?: number, strips: any[], doses: any[], cursor: number, numbers: boolean}} view
   */
  draw(view) {
    this.place(view);
    const [low, high] = this.range(view);
    this.scale(low, high);
    this.axes(view, low, high);
    const parts = /** @type {any[]} */ ([]);
    for (const w of this.windows) {
      for (const line of view.lines) {
        if (line.band) parts.push(s("path", { class: `band c${line.colour}${line.active ? " active" : ""}`, d: this.area(w, line.band) }));
      }
      for (const line of view.lines) {
        const [inside, beyond] = this.split(w, line);
        if (inside) parts.push(s("path", { class: `line c${line.colour}`, d: inside }));
        if (beyond) parts.push(s("path", { class: `line beyond c${line.colour}`, d: beyond }));
      }
    }
    this.marks.replaceChildren(...parts);
    this.points(view);
    this.moveCursor(view.cursor);
  }

  /** @param {any} view */
  place(view) {
    const inner = view.width - LEFT - RIGHT - GAP * (view.windows.length - 1);
    const whole = view.windows.reduce((/** @type {number} */ sum, /** @type {any} */ w) => sum + w.share, 0);
    let x = LEFT;
    this.windows = view.windows.map((/** @type {any} */ w) => {
      const wide = (inner * w.share) / whole, placed = { ...w, x0: x, x1: x + wide };
      x += wide + GAP;
      return placed;
    });
    this.bottom = this.height - (view.numbers ? BOTTOM : 8);
    put(this.svg, "viewBox", `0 0 ${view.width} ${this.height}`);
  }

  /** @param {any} view @returns {[number, number]} */
  range(view) {
    let low = Infinity, high = -Infinity;
    const take = (/** @type {number} */ value) => {
      if (value < low) low = value;
      if (value > high) high = value;
    };
    for (const w of this.windows) {
      for (const line of view.lines) {
        const { times, values, band } = line;
        for (let k = 0; k < times.length; k++) if (times[k] >= w.from && times[k] <= w.to) take(values[k]);
        if (band) for (let k = 0; k < band.times.length; k++) if (band.times[k] >= w.from && band.times[k] <= w.to) (take(band.low[k]), take(band.high[k]));
      }
      for (const p of view.points) if (p.time >= w.from && p.time <= w.to) (take(p.low ?? p.value), take(p.high ?? p.value));
    }
    if (!(high >= low)) return [0, 1];
    const size = Math.max(Math.abs(low), Math.abs(high));
    if (view.healthy !== undefined && Math.abs(view.healthy - (low + high) / 2) < 2 * Math.max(high - low, 0.02 * size)) take(view.healthy);
    const least = Math.max(view.least ?? 0, size * 0.02, 1e-6);
    if (high - low < least) {
      const middle = (low + high) / 2;
      low = Math.min(low, middle - least / 2);
      high = Math.max(high, middle + least / 2);
      if (low < 0 && middle >= 0 && size < least) [low, high] = [0, least];
    }
    const room = (high - low) * 0.06;
    return [low >= 0 && low - room < 0 ? Math.min(0, low) : low - room, high + room];
  }

  /** @param {number} low @param {number} high */
  scale(low, high) {
    const height = this.bottom - TOP;
    this.y = (/** @type {number} */ value) => this.bottom - ((value - low) / (high - low)) * height;
  }

  /** @param {any} w @param {number} time */
  x(w, time) {
    return w.x0 + ((time - w.from) / (w.to - w.from)) * (w.x1 - w.x0);
  }

  /** @param {any} view @param {number} low @param {number} high */
  axes(view, low, high) {
    const ends = view.healthy === undefined ? 0 : view.lines.map((/** @type {any} */ line) => Math.round(this.y(line.values[line.values.length - 1]) / 16));
    const frame = JSON.stringify([view.width, this.windows, low, high, view.healthy, view.strips, view.doses, view.numbers, ends]);
    if (frame === this.frame) return;
    this.frame = frame;
    const parts = /** @type {any[]} */ ([]), steps = ticks(low, high, 3);
    const first = this.windows[0], last = this.windows[this.windows.length - 1];
    for (const value of steps) {
      const y = round(this.y(value));
      for (const w of this.windows) parts.push(s("path", { class: "grid", d: `M${round(w.x0)} ${y}H${round(w.x1)}` }));
      parts.push(s("text", { x: first.x0 - 7, y: y + 4, "text-anchor": "end" }, tickText(value, steps)));
    }
    for (const w of this.windows) {
      for (const strip of view.strips) {
        const from = Math.max(strip.from, w.from), to = Math.min(strip.to, w.to);
        if (to > from) parts.push(s("path", { class: "stress", d: `M${round(this.x(w, from))} ${TOP + 2}H${round(this.x(w, to))}` }));
      }
      for (const colour of new Set(view.doses.map((/** @type {any} */ one) => one.colour))) {
        const times = view.doses.filter((/** @type {any} */ one) => one.colour === colour && one.time >= w.from && one.time <= w.to).map((/** @type {any} */ one) => one.time);
        if (times.length) parts.push(s("path", { class: `dose c${colour}`, d: this.doses(w, times, colour) }));
      }
      parts.push(s("path", { class: "axis", d: `M${round(w.x0)} ${this.bottom}H${round(w.x1)}` }));
      if (view.numbers) {
        for (const time of timeTicks(w.from - w.zero, w.to - w.zero, Math.max(2, (w.x1 - w.x0) / 62))) {
          const x = round(this.x(w, time + w.zero));
          parts.push(s("path", { class: "axis", d: `M${x} ${this.bottom}v4` }));
          parts.push(s("text", { x, y: this.bottom + 16, "text-anchor": "middle" }, w.inDays ? shortDays(time) : shortHours(time)));
        }
      }
    }
    if (view.healthy !== undefined && view.healthy >= low && view.healthy <= high) {
      const y = round(this.y(view.healthy));
      for (const w of this.windows) parts.push(s("path", { class: "healthy", d: `M${round(w.x0)} ${y}H${round(w.x1)}` }));
      const busy = view.lines.some((/** @type {any} */ line) => Math.abs(this.y(line.values[line.values.length - 1]) - y) < 16);
      parts.push(s("text", { x: busy ? last.x0 + 3 : last.x1, y: y < TOP + 18 ? y + 13 : y - 4, "text-anchor": busy ? "start" : "end", class: "word" }, "healthy"));
    }
    this.under.replaceChildren(...parts);
  }

  /** A small triangle for each dose; a bar where they stand too close. @param {any} w @param {number[]} times @param {number} colour */
  doses(w, times, colour) {
    const y = this.bottom + 1, first = this.x(w, times[0]), last = this.x(w, times[times.length - 1]);
    if (times.length > 2 && (last - first) / (times.length - 1) < 8) return `M${round(first)} ${y - 3 * colour}H${round(last)}v-2H${round(first)}z`;
    return times.map((time) => `M${round(this.x(w, time)) - 3.5} ${y}h7l-3.5 -6z`).join("");
  }

  /** The line inside a window, in two parts where it leaves what was studied. @param {any} w @param {any} line */
  split(w, line) {
    if (line.beyond === undefined) return [this.path(w, line.times, line.values), ""];
    return line.beyond ? ["", this.path(w, line.times, line.values)] : [this.path(w, line.times, line.values), ""];
  }

  /** @param {any} w @param {ArrayLike<number>} times @param {ArrayLike<number>} values */
  path(w, times, values) {
    let text = "", before = -1, pen = false, lastX = NaN, lastY = NaN;
    for (let k = 0; k < times.length; k++) {
      if (times[k] < w.from) {
        before = k;
        continue;
      }
      if (!Number.isFinite(values[k])) {
        pen = false;
        continue;
      }
      if (!pen && before >= 0 && k === before + 1 && times[k] > w.from) {
        const share = (w.from - times[before]) / (times[k] - times[before]);
        text += `M${round(w.x0)} ${round(this.y(values[before] + (values[k] - values[before]) * share))}`;
        pen = true;
      }
      if (times[k] > w.to) {
        if (pen && k > 0) {
          const share = (w.to - times[k - 1]) / (times[k] - times[k - 1]);
          text += `L${round(w.x1)} ${round(this.y(values[k - 1] + (values[k] - values[k - 1]) * share))}`;
        }
        break;
      }
      const x = round(this.x(w, times[k])), y = round(this.y(values[k]));
      if (pen && k + 1 < times.length && Math.abs(x - lastX) < 0.6 && Math.abs(y - lastY) < 0.4) continue; // under half a pixel
      text += `${pen ? "L" : "M"}${x} ${y}`;
      [pen, lastX, lastY] = [true, x, y];
    }
    return text;
  }

  /** @param {any} w @param {{times: ArrayLike<number>, low: ArrayLike<number>, high: ArrayLike<number>}} band */
  area(w, band) {
    const up = this.path(w, band.times, band.high), down = this.path(w, band.times, band.low);
    if (!up || !down) return "";
    return `${up}${down.slice(1).split("L").reverse().map((spot) => `L${spot}`).join("")}Z`;
  }

  /** Published points, each with what it is to hover or focus. @param {any} view */
  points(view) {
    const key = `${this.frame}${JSON.stringify(view.points)}`;
    if (key === this.pointsKey) return;
    this.pointsKey = key;
    const parts = /** @type {any[]} */ ([]);
    const w = this.windows[this.windows.length - 1];
    for (const p of view.points) {
      if (p.time < w.from || p.time > w.to) continue;
      const x = round(this.x(w, p.time)), y = round(this.y(p.value));
      const bar = p.low === null || p.high === null || p.low === p.high ? null : s("path", { class: `bar c${p.colour}`, d: `M${x} ${round(this.y(p.low))}V${round(this.y(p.high))}` });
      parts.push(s("g", { tabindex: "0", role: "img", "aria-label": p.text, class: "published" }, s("title", {}, p.text), bar, marker(p.role, x, y, p.colour)));
    }
    this.over.replaceChildren(...parts, ...this.cursors);
  }

  /** @param {number} time */
  moveCursor(time) {
    while (this.cursors.length < this.windows.length) {
      const line = s("path", { class: "cursor", "aria-hidden": "true" });
      this.cursors.push(line);
      this.svg.append(line);
    }
    this.cursors.forEach((line, k) => {
      const w = this.windows[k];
      const inside = w && time >= w.from - 1e-9 && time <= w.to + 1e-9;
      put(line, "d", inside ? `M${round(this.x(w, time))} ${TOP}V${this.bottom}` : "M0 0");
    });
  }
}

/** Circles were used to fit, diamonds never, squares are background. @param {string} role @param {number} x @param {number} y @param {number} colour */
function marker(role, x, y, colour) {
  const name = `point c${colour}`;
  if (role === "validate") return s("path", { class: name, d: `M${x} ${y - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z` });
  if (role === "own") return s("path", { class: name, d: `M${x} ${y - 7}l2 5h5l-4 3.2l1.5 5l-4.5 -3l-4.5 3l1.5 -5l-4 -3.2h5z` });
  if (role === "context") return s("rect", { class: name, x: x - 4, y: y - 4, width: 8, height: 8 });
  return s("circle", { class: name, cx: x, cy: y, r: 4.5 });
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;

/** @param {number} value @param {number[]} steps */
function tickText(value, steps) {
  const step = steps.length > 1 ? steps[1] - steps[0] : Math.abs(value) || 1;
  if (Math.abs(value) >= 1e5 || (step < 1e-4 && value !== 0)) return shown(value, 2);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (String(step / 10 ** Math.floor(Math.log10(step))).startsWith("2.5") ? 1 : 0));
  return value.toFixed(Math.min(decimals, 5)).replace("-", "−");
}

/** @param {number} hours */
const shortDays = (hours) => String(Math.round((hours / 24) * 100) / 100).replace("-", "−");

/** @param {number} hours */
const shortHours = (hours) => String(Math.round(hours * 100) / 100).replace("-", "−");
