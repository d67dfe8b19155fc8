// A dendrite drawn once from a seed; then only its state changes, and every mark of it is a number of the model.

import { put, s } from "./dom.js";

const RANKS = 4;
const HEALTHY_SPINES = 260; // drawn on a healthy arbor
const MOST_DENSITY = 1.7; // of healthy; slots beyond the healthy ones wait for more
const SPARE = 1.14; // drawn length over the healthy one, so that tips can grow

/** The same numbers for the same seed. @param {number} seed */
export function random(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** @typedef {{x: number, y: number, angle: number}} Spot */
/** @typedef {{spots: Spot[], from: number, width: number, reach: number}} Branch a child reaches no further than its parent */

/** Branches of the tree, each a list of spots with its distance from the soma. @param {number} seed */
export function tree(seed) {
  const next = random(seed);
  const branches = /** @type {Branch[]} */ ([]);
  /** @param {Spot} at @param {number} length @param {number} rank @param {number} from @param {number} pull @param {number} reach */
  const grow = (at, length, rank, from, pull, reach) => {
    let { x, y, angle } = at, bend = (next() - 0.5) * 0.02;
    const steps = Math.max(5, Math.round(length / 3.5)), size = length / steps, spots = [at];
    for (let k = 0; k < steps; k++) {
      bend = bend * 0.8 + (next() - 0.5) * 0.05;
      angle += bend + (pull - angle) * 0.025;
      x += Math.cos(angle) * size;
      y -= Math.sin(angle) * size;
      spots.push({ x, y, angle });
    }
    branches.push({ spots, from, width: Math.max(0.9, 4.4 * 0.68 ** rank), reach });
    if (rank >= RANKS) return;
    const end = spots[spots.length - 1], spread = 0.3 + 0.2 * next(), own = reach * (0.95 + 0.05 * next());
    const left = length * (0.7 + 0.2 * next()), right = length * (0.7 + 0.2 * next());
    grow({ ...end, angle: angle + spread }, left, rank + 1, from + length, pull + spread * 0.75, own);
    grow({ ...end, angle: angle - spread }, right, rank + 1, from + length, pull - spread * 0.75, reach * (0.95 + 0.05 * next()));
    for (const [share, turn] of rank === 0 ? [[0.42, 1], [0.66, -1], [0.86, 1]] : rank === 1 ? [[0.55, next() > 0.5 ? 1 : -1]] : []) {
      const spot = spots[Math.round(steps * share)];
      grow({ ...spot, angle: spot.angle + turn * (0.75 + 0.3 * next()) }, length * (0.5 + 0.12 * next()), RANKS - 2, from + length * share, pull + turn * 0.85, own);
    }
  };
  const up = Math.PI / 2;
  grow({ x: 160, y: 240, angle: up }, 72, 0, 0, up, 1);
  for (const side of [-1, 1]) grow({ x: 160 + side * 9, y: 258, angle: -up + side * 1.1 }, 30, RANKS - 2, 0, -up + side * 1.0, 0.9);
  return branches;
}

/** One drawing: a few paths, rewritten only where the model's numbers changed. */
export class Dendrite {
  /** @param {number} seed */
  constructor(seed) {
    const next = random(seed + 7);
    this.branches = tree(seed).map((one) => ({ ...one, length: lengthOf(one.spots) }));
    const whole = this.branches.reduce((sum, one) => sum + one.length, 0);
    this.healthy = whole / SPARE;
    this.box = boxOf(this.branches);
    const [x, y, width, height] = this.box;
    this.tint = s("ellipse", { class: "tint", cx: x + width / 2, cy: y + height / 2, rx: width * 0.52, ry: height * 0.5, opacity: 0 });
    this.soma = s("path", { class: "soma", d: "M160 238c5 6 15 14 14 23c-1 8 -7 11 -14 11s-13 -3 -14 -11c-1 -9 9 -17 14 -23z" });
    const widths = [...new Set(this.branches.map((one) => one.width))];
    this.lines = widths.map((wide) => ({ of: this.branches.filter((one) => one.width === wide), path: s("path", { class: "branch", "stroke-width": wide.toFixed(1) }) }));
    this.stalks = s("path", { class: "stalk", "stroke-width": 0.7 });
    this.heads = s("path", { class: "head" });
    this.slots = this.makeSlots(next, whole);
    this.visible = 0;
    this.svg = s("svg", { viewBox: this.box.join(" "), role: "img" }, this.tint, this.stalks, this.heads, this.lines.map((one) => one.path), this.soma);
    this.cutKey = this.spineKey = "";
  }

  /** Places for spines along every branch, each with a fixed rank, side, angle and jitter. @param {() => number} next @param {number} whole */
  makeSlots(next, whole) {
    const count = Math.round(HEALTHY_SPINES * MOST_DENSITY * SPARE), slots = [];
    for (const branch of this.branches) {
      const own = Math.round((count * branch.length) / whole);
      for (let k = 0; k < own; k++) {
        const share = (k + 0.2 + 0.6 * next()) / own, at = Math.min(Math.floor(share * (branch.spots.length - 1)), branch.spots.length - 2);
        const a = branch.spots[at], b = branch.spots[at + 1], part = share * (branch.spots.length - 1) - at;
        const side = next() > 0.5 ? 1 : -1, angle = a.angle + side * (Math.PI / 2 + (next() - 0.5) * 0.9);
        slots.push({ x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part, dx: Math.cos(angle), dy: -Math.sin(angle), from: branch.from + share * branch.length,
          reach: branch.reach, rank: next() * MOST_DENSITY, long: 0.8 + 0.4 * next(), half: branch.width / 2 });
      }
    }
    return slots;
  }

  /**
   * The state of the model at one moment.
   * @param {Record<string, number>} now spine_filopodium, spine_thin, spine_mushroom, spine_head_size, ampa_gain, dendrite_arbor, circuit, nmdar_occupancy
   * @param {string} label
   */
  show(now, label) {
    const arbor = clamp(now.dendrite_arbor ?? 1, 0.05, SPARE), mushroom = now.spine_mushroom ?? 0, thin = mushroom + (now.spine_thin ?? 0), all = thin + (now.spine_filopodium ?? 0);
    const size = Math.sqrt(Math.max(now.spine_head_size ?? 1, 0)), cutKey = arbor.toFixed(3);
    if (cutKey !== this.cutKey) {
      this.cutKey = cutKey;
      this.cut = this.cutFor(arbor * this.healthy);
      for (const { of, path } of this.lines) put(path, "d", of.map((one) => branchUpTo(one, this.cut)).join(""));
    }
    const spineKey = [cutKey, mushroom.toFixed(3), thin.toFixed(3), all.toFixed(3), size.toFixed(2)].join();
    if (spineKey !== this.spineKey) {
      this.spineKey = spineKey;
      this.spines(mushroom, thin, all, size);
    }
    put(this.heads, "fill-opacity", clamp(0.62 + 0.9 * ((now.ampa_gain ?? 1) - 1), 0.25, 1).toFixed(2));
    put(this.soma, "fill-opacity", clamp(0.15 + 0.85 * (now.circuit ?? 1), 0.15, 1).toFixed(2));
    put(this.tint, "opacity", (0.34 * clamp(now.nmdar_occupancy ?? 0, 0, 1)).toFixed(3));
    put(this.svg, "aria-label", label);
  }

  /** Slots fill in the order of their rank; a spine that comes or goes is short. @param {number} mushroom @param {number} thin @param {number} all @param {number} size */
  spines(mushroom, thin, all, size) {
    let stalks = "", heads = "", visible = 0;
    for (const slot of this.slots) {
      if (slot.rank >= all) continue;
      const there = Math.min(1, Math.max(0, (this.cut * slot.reach - slot.from) / 6)) * Math.min(1, (all - slot.rank) / 0.02);
      if (there <= 0) continue;
      visible += there;
      const grown = clamp((mushroom - slot.rank) / 0.02 + 0.5, 0, 1), headed = clamp((thin - slot.rank) / 0.02 + 0.5, 0, 1);
      const length = slot.long * (7.6 - 2 * headed - 1.2 * grown) * there + slot.half;
      const x = tenth(slot.x + slot.dx * length), y = tenth(slot.y + slot.dy * length);
      stalks += `M${tenth(slot.x)} ${tenth(slot.y)}L${x} ${y}`;
      const radius = tenth(10 * headed * (0.95 + 1.15 * grown) * (0.3 + 0.7 * size) * there) / 10;
      if (radius > 0.1) heads += `M${tenth(x - radius)} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`;
    }
    this.visible = visible;
    put(this.stalks, "d", stalks);
    put(this.heads, "d", heads);
  }

  /** Distance from the soma within which this much length lies. @param {number} wanted */
  cutFor(wanted) {
    let low = 0, high = 800;
    for (let k = 0; k < 26; k++) {
      const middle = (low + high) / 2;
      const inside = this.branches.reduce((sum, one) => sum + clamp(middle * one.reach - one.from, 0, one.length), 0);
      if (inside < wanted) low = middle;
      else high = middle;
    }
    return high;
  }

  cut = 0;
}

/** What each mark is: drawings of the legend. */
export const LEGEND = [
  ["M4 18L20 5", 0, "filopodium: a hair"],
  ["M6 18L14 8", 1.7, "thin spine: a small head"],
  ["M8 19L12 12", 4.2, "mushroom spine: a wide head; its area is the model's head size, its brightness the AMPA gain"],
];
export const ONE_MARK = `one mark stands for 1/${HEALTHY_SPINES} of the healthy number`;

/** @param {number} value @param {number} low @param {number} high */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** @param {Spot[]} spots */
const lengthOf = (spots) => spots.slice(1).reduce((sum, b, k) => sum + Math.hypot(b.x - spots[k].x, b.y - spots[k].y), 0);

/** The frame of a drawing: x, y, width, height. @param {Branch[]} branches @returns {number[]} */
function boxOf(branches) {
  const spots = branches.flatMap((one) => one.spots), room = 12;
  const xs = spots.map((one) => one.x), ys = [...spots.map((one) => one.y), 276];
  const left = Math.min(...xs), top = Math.min(...ys), half = Math.max(160 - left, Math.max(...xs) - 160) + room;
  return [160 - half, top - room, 2 * half, Math.max(...ys) - top + room + 4].map((value) => Math.round(value));
}

/** @param {number} value */
const tenth = (value) => Math.round(value * 10) / 10;

/** The part of a branch within a distance from the soma. @param {any} branch @param {number} cut */
function branchUpTo(branch, cut) {
  const part = clamp((cut * branch.reach - branch.from) / branch.length, 0, 1) * (branch.spots.length - 1), whole = Math.floor(part);
  if (part <= 0) return "";
  const spots = branch.spots.slice(0, whole + 1), end = branch.spots[whole + 1];
  if (end && part > whole) spots.push({ x: spots[whole].x + (end.x - spots[whole].x) * (part - whole), y: spots[whole].y + (end.y - spots[whole].y) * (part - whole), angle: 0 });
  return pathOf(spots);
}

/** A smooth line through the spots. @param {Spot[]} spots */
function pathOf(spots) {
  let text = `M${spots[0].x.toFixed(1)} ${spots[0].y.toFixed(1)}`;
  for (let k = 1; k < spots.length - 1; k++) {
    const a = spots[k], b = spots[k + 1];
    text += `Q${a.x.toFixed(1)} ${a.y.toFixed(1)} ${((a.x + b.x) / 2).toFixed(1)} ${((a.y + b.y) / 2).toFixed(1)}`;
  }
  const last = spots[spots.length - 1];
  return `${text}L${last.x.toFixed(1)} ${last.y.toFixed(1)}`;
}
