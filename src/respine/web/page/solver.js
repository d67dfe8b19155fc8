// Two workers beside the page: one for what the eye waits for, one for cohorts and searches. A newer question overtakes.

/** One worker; of each kind of job only the newest answer counts. */
export class Solver {
  /** @param {string} url of the worker's script */
  constructor(url) {
    this.worker = new Worker(url);
    this.id = 0;
    /** @type {Map<string, {id: number, resolve: (value: any) => void, reject: (error: any) => void}>} */
    this.waiting = new Map();
    /** @type {Map<string, any>} */
    this.next = new Map();
    this.busy = new Set();
    this.worker.onmessage = ({ data }) => this.answer(data);
    this.worker.onerror = (event) => {
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the solver could not start"));
    };
  }

  /** @param {any} page @param {ArrayBuffer} module @param {ArrayBuffer} cohort @returns {Promise<void>} */
  open(page, module, cohort) {
    return new Promise((resolve, reject) => {
      this.waiting.set("open", { id: 0, resolve, reject });
      this.worker.postMessage({ kind: "open", page, module, cohort });
    });
  }

  /**
   * The answer to a job, or null where a newer one overtook it.
   * @param {string} kind @param {any} job @param {boolean} interrupts a running one of its kind
   */
  ask(kind, job, interrupts = false) {
    return new Promise((resolve, reject) => {
      this.waiting.get(kind)?.resolve(null);
      const id = ++this.id;
      this.waiting.set(kind, { id, resolve, reject });
      const message = { ...job, kind, id };
      if (this.busy.has(kind) && !interrupts) this.next.set(kind, message);
      else {
        this.busy.add(kind);
        this.worker.postMessage(message);
      }
    });
  }

  /** @param {any} data */
  answer(data) {
    this.busy.delete(data.kind);
    const next = this.next.get(data.kind);
    if (next) {
      this.next.delete(data.kind);
      this.busy.add(data.kind);
      this.worker.postMessage(next);
    }
    const waiting = this.waiting.get(data.kind);
    if (!waiting || (data.kind !== "open" && waiting.id !== data.id)) return;
    this.waiting.delete(data.kind);
    if (data.error) waiting.reject(new Error(data.error));
    else waiting.resolve(data.result);
  }
}
