// The loop that drives the kernels of a module: independent lanes with their own steps, refilled from a queue of subjects.
// The same loop as the native one (engine/run/driver.py), without sensitivities; it knows nothing of the model.

/**
 * What the compiler says of a module (module.py).
 * @typedef {Object} Description
 * @property {number} lanes
 * @property {string[]} states
 * @property {string[]} slow numbers that stay between events: varying parameters, inputs, infusion rates, in this order
 * @property {string[]} outputs
 * @property {number} varying how many of `slow` are parameters that differ between subjects
 * @property {number} ratesFrom number of the first infusion rate in `slow`
 * @property {Record<string, number>} offsets of each area of the workspace, in lane vectors
 * @property {number} vectors lane vectors before the numbers that all lanes share
 * @property {number} shared how many numbers all lanes share
 * @property {number} copies how often each of them is written
 * @property {number} freeFrom first address of the memory that is free
 * @property {Record<string, number>} events number of each kind
 * @property {Record<string, number>} statuses number of each
 * @property {Record<string, number>} control constants of the step-size controller
 */

/**
 * Subjects to solve. Subject s has the events `first[s]` to `last[s]`; it reads `count[s]` outputs at `times[timeFirst[s]]`
 * and on, into rows from `row[s]` on; `need[row]` of its events happen before that reading.
 * @typedef {Object} Problem
 * @property {Float64Array} parameters (subjects, varying)
 * @property {Float64Array} starts (subjects or 1, states)
 * @property {Float64Array} startSlow (slow - varying)
 * @property {Float64Array} shared numbers: uniform ones, relative tolerance, absolute tolerances of the states
 * @property {ArrayLike<number>} first
 * @property {ArrayLike<number>} last
 * @property {ArrayLike<number>} eventTime
 * @property {ArrayLike<number>} eventKind
 * @property {ArrayLike<number>} eventTarget
 * @property {ArrayLike<number>} eventValue
 * @property {ArrayLike<number>} times
 * @property {ArrayLike<number>} timeFirst
 * @property {ArrayLike<number>} count
 * @property {ArrayLike<number>} row
 * @property {ArrayLike<number>} need
 * @property {number} start
 * @property {number} largestStep
 * @property {number} mostSteps of a subject
 * @property {ArrayLike<number>} queue subjects to solve
 */

/**
 * @typedef {Object} Solution
 * @property {Float64Array} values (rows, outputs), NaN from a failure on
 * @property {Int8Array} status of each subject
 * @property {Float64Array} endTime
 * @property {Int32Array} accepted steps
 * @property {Int32Array} rejected steps
 */

const MOST_CYCLES = 20000; // dosing intervals tried before steady state is given up
const LANE_NUMBERS = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n]; // the kernels take 64-bit integers

/** A module, ready to solve. */
export class Engine {
  /**
   * @param {BufferSource} bytes
   * @param {Description} description
   * @returns {Promise<Engine>}
   */
  static async load(bytes, description) {
    const { acos, asin, atan } = Math;
    const { instance } = await WebAssembly.instantiate(bytes, { env: { acos, asin, atan } });
    return new Engine(instance, description);
  }

  /**
   * @param {WebAssembly.Instance} instance
   * @param {Description} description
   */
  constructor(instance, description) {
    const d = description;
    this.description = d;
    this.kernels = /** @type {Record<string, any>} */ (instance.exports);
    this.base = d.freeFrom;
    const size = d.vectors * d.lanes + d.shared * d.copies;
    this.rowAt = this.base + 8 * size;
    const memory = /** @type {WebAssembly.Memory} */ (this.kernels.memory);
    const missing = this.rowAt + 8 * d.outputs.length - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    this.workspace = new Float64Array(memory.buffer, this.base, size);
    this.outputRow = new Float64Array(memory.buffer, this.rowAt, d.outputs.length);
  }

  /**
   * Trajectories of all subjects of the queue.
   * @param {Problem} problem
   * @returns {Solution}
   */
  solve(problem) {
    const run = new Run(this, problem);
    while (run.advance());
    return run.solution;
  }

  /**
   * An area of the workspace, its lanes side by side.
   * @param {string} name
   * @param {number} count lane vectors
   */
  area(name, count = 1) {
    const { lanes, offsets } = this.description;
    return this.workspace.subarray(offsets[name] * lanes, (offsets[name] + count) * lanes);
  }
}

/** What the loop knows of one lane. */
class Lane {
  /**
   * @param {number} number
   * @param {Description} d
   */
  constructor(number, d) {
    this.number = number;
    this.subject = -1;
    this.event = 0; // the next one
    this.lastEvent = 0;
    this.output = 0; // the next one
    this.outputs = 0;
    this.moment = 0; // where its output times begin
    this.row = 0;
    this.end = 0;
    this.quiet = false; // on the way to a steady state: nothing is read
    this.cycle = 0; // event at which the dosing interval starts
    this.cycles = 0;
    this.lastChange = 0;
    this.marked = new Float64Array(d.states.length); // state at the start of the interval
    this.kept = new Float64Array(d.states.length); // state before the steady-state dose
    this.keptSlow = new Float64Array(d.slow.length);
    this.changed = false;
    this.due = false;
  }
}

/** One call of `solve`. */
class Run {
  /**
   * @param {Engine} engine
   * @param {Problem} problem
   */
  constructor(engine, problem) {
    const d = engine.description, { lanes, copies } = d;
    this.d = d;
    this.engine = engine;
    this.kernels = engine.kernels;
    this.problem = problem;
    const subjects = problem.first.length;
    this.solution = {
      values: new Float64Array(problem.need.length * d.outputs.length).fill(NaN),
      status: new Int8Array(subjects).fill(d.statuses.STOPPED),
      endTime: new Float64Array(subjects).fill(problem.start),
      accepted: new Int32Array(subjects),
      rejected: new Int32Array(subjects),
    };
    const w = engine.workspace.fill(0);
    problem.shared.forEach((value, k) => w.fill(value, d.vectors * lanes + k * copies, d.vectors * lanes + (k + 1) * copies));
    const area = (/** @type {string} */ name, count = 1) => engine.area(name, count);
    this.now = area("now");
    this.reached = area("reached");
    this.nextEvent = area("next_event");
    this.nextOutput = area("next_output");
    this.nextStep = area("next_step");
    this.active = area("active");
    this.outcome = area("outcome");
    this.accepted = area("n_accepted");
    this.rejected = area("n_rejected");
    this.due = area("due");
    this.atEvent = area("at_event");
    this.attention = area("attention");
    this.time = area("time");
    this.step = area("step");
    this.error = area("error");
    this.fraction = area("fraction");
    this.beginStep = area("begin_step");
    this.lastStep = area("last_step");
    this.lastLogError = area("last_log_error");
    this.state = area("state", d.states.length);
    this.rate = area("rate", d.states.length);
    this.slow = area("slow", d.slow.length);

    this.horizon = 1e-300;
    for (let k = 0; k < problem.queue.length; k++) {
      const s = problem.queue[k];
      this.horizon = Math.max(this.horizon, Math.abs(problem.times[problem.timeFirst[s] + problem.count[s] - 1] - problem.start));
    }
    this.now.fill(problem.start);
    this.nextStep.fill(this.horizon);
    this.nextEvent.fill(Infinity);
    this.nextOutput.fill(Infinity);
    area("longest_step").fill(problem.largestStep);
    area("shortest_step").fill(1e-18 * this.horizon);
    area("most_steps").fill(problem.mostSteps);
    area("share").fill(d.control.HALF_WAY);
    this.lanes = Array.from({ length: lanes }, (_, k) => new Lane(k, d));
    this.next = 0; // in the queue
    this.alive = 0;
    this.parked = false; // whether every lane has numbers to work on
    this.eventsWait = true;
    this.kernels.enter(engine.base);
  }

  /**
   * One step of every lane, with all that happens before and after it.
   * @returns {boolean} whether there is more to do
   */
  advance() {
    if (this.next < this.problem.queue.length && this.alive < this.lanes.length) this.refill();
    if (this.alive === 0) return this.finish();
    const changed = this.eventsWait && this.happen();
    if (this.alive === 0) return this.next < this.problem.queue.length || this.finish();
    if (changed) this.begin();
    const called = this.kernels.advance(this.engine.base) !== 0n;
    this.eventsWait = false;
    if (called) {
      let due = false;
      for (const lane of this.lanes) {
        lane.due = this.due[lane.number] > 0;
        due ||= lane.due;
        this.eventsWait ||= this.atEvent[lane.number] > 0;
      }
      while (due) due = this.readInside();
    }
    this.kernels.commit_inside(this.engine.base);
    if (called) for (const lane of this.lanes) this.judge(lane);
    return true;
  }

  finish() {
    this.kernels.leave(this.engine.base);
    return false;
  }

  /** Idle lanes take the next subjects; one that finds none idles on the first one's numbers. */
  refill() {
    const { problem, lanes } = this;
    for (const lane of lanes) {
      if (lane.subject >= 0) continue;
      const found = this.next < problem.queue.length;
      if (!found && this.parked) break;
      const s = problem.queue[found ? this.next++ : 0];
      if (found) this.take(lane, s);
      this.place(lane, s);
    }
    this.parked = true;
  }

  /**
   * @param {Lane} lane
   * @param {number} s subject
   */
  take(lane, s) {
    const p = this.problem;
    lane.subject = s;
    lane.event = p.first[s];
    lane.lastEvent = p.last[s];
    lane.output = 0;
    lane.outputs = p.count[s];
    lane.moment = p.timeFirst[s];
    lane.row = p.row[s];
    lane.end = p.times[lane.moment + lane.outputs - 1];
    lane.quiet = false;
    this.active[lane.number] = 1;
    this.atEvent[lane.number] = 1;
    this.alive++;
  }

  /**
   * The start of subject `s` in a lane.
   * @param {Lane} lane
   * @param {number} s
   */
  place(lane, s) {
    const { d, problem } = this, k = lane.number, width = this.lanes.length;
    this.now[k] = this.time[k] = problem.start;
    this.nextStep[k] = lane.subject >= 0 ? 0 : 1e-6;
    this.nextEvent[k] = this.nextOutput[k] = Infinity;
    this.outcome[k] = d.control.FRESH;
    this.accepted[k] = this.rejected[k] = 0;
    this.eventsWait = true;
    const from = this.startOf(s);
    for (let q = 0; q < d.states.length; q++) this.state[q * width + k] = problem.starts[from + q];
    for (let q = 0; q < d.varying; q++) this.slow[q * width + k] = problem.parameters[s * d.varying + q];
    for (let q = d.varying; q < d.slow.length; q++) this.slow[q * width + k] = problem.startSlow[q - d.varying];
  }

  /** @param {number} s */
  startOf(s) {
    const n = this.d.states.length;
    return this.problem.starts.length > n ? s * n : 0;
  }

  /**
   * Events that are due, and outputs at their times, in the order of the records.
   * @returns {boolean} whether anything changed
   */
  happen() {
    let anyChanged = false;
    for (;;) {
      let anyDue = false;
      for (const lane of this.lanes) {
        const k = lane.number;
        lane.due = false;
        if (!(this.atEvent[k] > 0)) continue;
        if (!this.happenIn(lane)) {
          this.end(lane, this.d.statuses.NO_STEADY_STATE);
          continue;
        }
        lane.changed = anyChanged = true;
        this.nextOutput[k] = this.followingOutput(lane);
        if (this.nextOutput[k] <= this.now[k]) {
          lane.due = anyDue = true;
        } else {
          this.atEvent[k] = 0;
          const event = lane.event < lane.lastEvent ? this.problem.eventTime[lane.event] : Infinity;
          this.nextEvent[k] = lane.quiet ? event : Math.min(event, lane.end);
        }
      }
      if (!anyDue) return anyChanged;
      this.readNow();
    }
  }

  /**
   * The events of one lane that are due, up to a reading that comes before one.
   * @param {Lane} lane
   * @returns {boolean} false where a steady state is given up
   */
  happenIn(lane) {
    const { problem, now } = this, k = lane.number;
    while (lane.event < lane.lastEvent && problem.eventTime[lane.event] <= now[k]) {
      if (this.followingOutput(lane) <= now[k]) break;
      const e = lane.event++;
      if (!this.apply(lane, problem.eventKind[e], problem.eventTarget[e], problem.eventValue[e])) return false;
    }
    return true;
  }

  /**
   * When a lane's next output is read: never while events that precede it have not happened.
   * @param {Lane} lane
   */
  followingOutput(lane) {
    const { problem } = this;
    if (lane.quiet || lane.output >= lane.outputs) return Infinity;
    const happened = lane.event - problem.first[lane.subject];
    return problem.need[lane.row + lane.output] > happened ? Infinity : problem.times[lane.moment + lane.output];
  }

  /**
   * @param {Lane} lane
   * @param {number} kind
   * @param {number} target
   * @param {number} value
   * @returns {boolean} false where a steady state is given up
   */
  apply(lane, kind, target, value) {
    const { d, state, slow, problem } = this, { events } = d;
    const k = lane.number, width = this.lanes.length, n = d.states.length;
    if (kind === events.ADD_STATE) {
      state[target * width + k] += value;
    } else if (kind === events.SET_STATE) {
      state[target * width + k] = value;
    } else if (kind === events.SET_SLOW || kind === events.SET_RATE) {
      slow[target * width + k] = value;
    } else if (kind === events.RESET || kind === events.STEADY_BEGIN) {
      const from = this.startOf(lane.subject);
      for (let q = 0; q < n; q++) {
        lane.kept[q] = state[q * width + k] - problem.starts[from + q];
        state[q * width + k] = problem.starts[from + q];
      }
      for (let q = d.ratesFrom; q < d.slow.length; q++) {
        lane.keptSlow[q] = slow[q * width + k];
        slow[q * width + k] = 0;
      }
      lane.quiet = kind === events.STEADY_BEGIN;
    } else if (kind === events.JUMP) {
      this.now[k] = value;
    } else if (kind === events.CYCLE_START) {
      lane.cycle = lane.event;
      lane.cycles = 0;
      for (let q = 0; q < n; q++) lane.marked[q] = state[q * width + k];
    } else if (kind === events.CYCLE_END) {
      return this.closeCycle(lane, value);
    } else if (kind === events.STEADY_END) {
      lane.quiet = false;
      if (value === 2) { // on top of what was there
        for (let q = 0; q < n; q++) state[q * width + k] += lane.kept[q];
        for (let q = d.ratesFrom; q < d.slow.length; q++) slow[q * width + k] += lane.keptSlow[q];
      }
    } else {
      throw new Error(`event kind ${kind} is unknown`);
    }
    return true;
  }

  /**
   * A dosing interval ends: repeat it until what is still missing lies far below the tolerance.
   * @param {Lane} lane
   * @param {number} interval
   * @returns {boolean} false where it is given up
   */
  closeCycle(lane, interval) {
    const { state, d, problem } = this, k = lane.number, width = this.lanes.length, n = d.states.length;
    const tolerances = problem.shared.length - n; // the relative one stands before them
    let change = 0;
    for (let q = 0; q < n; q++) {
      const y = state[q * width + k];
      const scale = problem.shared[tolerances + q] + problem.shared[tolerances - 1] * Math.abs(y);
      change = Math.max(change, Math.abs(y - lane.marked[q]) / scale);
    }
    const shrink = lane.cycles > 0 && lane.lastChange > 0 ? change / lane.lastChange : 1;
    lane.cycles++;
    if (change < 1e-6 || (shrink < 1 && change * shrink / (1 - shrink) < 0.01)) return true;
    if (lane.cycles > MOST_CYCLES || !(change < 1e300)) return false;
    lane.lastChange = change;
    for (let q = 0; q < n; q++) lane.marked[q] = state[q * width + k];
    this.now[k] -= interval;
    lane.event = lane.cycle;
    return true;
  }

  /** Outputs of lanes that stand at an event. */
  readNow() {
    const { base } = this.engine, width = this.lanes.length;
    this.kernels.begin_inside(base);
    this.fraction.fill(0);
    for (const lane of this.lanes) {
      if (!lane.due) continue;
      const k = lane.number;
      this.time[k] = this.now[k];
      for (let q = 0; q < this.d.states.length; q++) this.rate[q * width + k] = this.state[q * width + k];
    }
    this.kernels.observe_inside(base);
    for (const lane of this.lanes) {
      if (!lane.due) continue;
      this.readOut(lane);
      if (lane.output === lane.outputs) {
        this.atEvent[lane.number] = 0;
        lane.changed = false;
        this.end(lane, this.d.statuses.OK);
      }
    }
  }

  /**
   * Outputs inside the step just made, one of each lane.
   * @returns {boolean} whether some lane has more of them
   */
  readInside() {
    const { problem, kernels, engine } = this;
    for (const lane of this.lanes) {
      const k = lane.number;
      const share = lane.due ? (problem.times[lane.moment + lane.output] - this.now[k]) / this.step[k] : 0;
      this.fraction[k] = Math.min(1, Math.max(0, share));
    }
    kernels.interpolate_inside(engine.base);
    kernels.observe_inside(engine.base);
    let again = false;
    for (const lane of this.lanes) {
      if (!lane.due) continue;
      this.readOut(lane);
      this.nextOutput[lane.number] = this.followingOutput(lane);
      lane.due = this.nextOutput[lane.number] <= this.reached[lane.number];
      again ||= lane.due;
    }
    return again;
  }

  /** @param {Lane} lane */
  readOut(lane) {
    const { engine } = this;
    this.kernels.read_out(engine.base, LANE_NUMBERS[lane.number], engine.rowAt);
    this.solution.values.set(engine.outputRow, (lane.row + lane.output) * this.d.outputs.length);
    lane.output++;
  }

  /** Lanes in which something changed start afresh with a careful step. */
  begin() {
    const { control } = this.d, { largestStep } = this.problem;
    this.kernels.begin_inside(this.engine.base);
    for (const lane of this.lanes) {
      if (!lane.changed) continue;
      const k = lane.number;
      let careful = this.beginStep[k];
      if (!(careful > 0)) careful = 1e-6 * this.horizon;
      this.nextStep[k] = Math.min(Math.max(careful, control.RESTART * this.nextStep[k]), largestStep);
      this.outcome[k] = control.FRESH;
      this.lastStep[k] = this.nextStep[k];
      this.lastLogError[k] = control.BEST_LOG_ERROR;
      lane.changed = false;
    }
  }

  /**
   * Whether a lane's subject ends here, well or not.
   * @param {Lane} lane
   */
  judge(lane) {
    if (lane.subject < 0) return;
    const { control, statuses } = this.d, k = lane.number, why = this.attention[k];
    if (lane.output === lane.outputs && why !== control.BELOW_ZERO) {
      this.end(lane, statuses.OK);
    } else if (why === control.BELOW_ZERO) {
      this.end(lane, statuses.NEGATIVE);
    } else if (why === control.STUCK) {
      this.end(lane, this.error[k] < 1e300 ? statuses.STEP_FLOOR : statuses.NOT_FINITE);
    } else if (why >= control.SPENT) {
      this.end(lane, statuses.STEP_BUDGET);
    }
  }

  /**
   * The lane's subject is done; the lane idles until it takes the next.
   * @param {Lane} lane
   * @param {number} status
   */
  end(lane, status) {
    const { solution } = this, k = lane.number, s = lane.subject;
    solution.status[s] = status;
    solution.endTime[s] = this.now[k];
    solution.accepted[s] = this.accepted[k];
    solution.rejected[s] = this.rejected[k];
    this.nextStep[k] = 1e-6;
    this.nextEvent[k] = this.nextOutput[k] = Infinity;
    this.active[k] = 0;
    this.atEvent[k] = 0;
    lane.subject = -1;
    this.alive--;
  }
}
