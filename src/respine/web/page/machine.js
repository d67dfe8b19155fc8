// What a server beside the page adds: the scenario as a trial of virtual people, with its endpoints and intervals.

import { h } from "./dom.js";
import { shown } from "./units.js";
import { table } from "./why.js";

/** @param {any} state @param {{token?: string}} server */
export function machine(state, server) {
  const place = h("div", { role: "status" });
  const people = h("input", { type: "number", min: 20, max: 2000, step: 20, value: "200" });
  const run = h("button", { type: "button", id: "run-trial", onclick: async () => {
    place.replaceChildren(h("p", {}, "Simulating ..."));
    run.disabled = true;
    try {
      const found = await ask(server, "trial", { study: state.takeAway, subjects: Number(people.value) });
      const rows = found.endpoints.map((/** @type {any} */ e) => h("tr", {}, h("td", {}, e.arm), h("td", {}, e.endpoint), h("td", { class: "n" }, shown(e.median)), h("td", { class: "n" }, e.p05 === null ? "" : `${shown(e.p05)} to ${shown(e.p95)}`), h("td", { class: "n" }, e.published === null ? "" : shown(e.published)), h("td", {}, e.unit ?? "")));
      place.replaceChildren(rows.length ? table("endpoints", ["arm", "endpoint", ["median", "n"], ["90 % of trials", "n"], ["published", "n"], "unit"], rows) : h("p", {}, "The study has no endpoint that this scenario still gives."), ...(found.notes ?? []).map((/** @type {string} */ t) => h("p", { class: "fine" }, t)));
    } catch (error) {
      place.replaceChildren(...String(/** @type {any} */ (error).message).split("\n").map((line) => h("p", {}, line)));
    }
    run.disabled = false;
  } }, "Simulate the trial");
  const power = h("button", { type: "button", id: "run-power", onclick: async () => {
    place.replaceChildren(h("p", {}, "Simulating trials of every size ..."));
    power.disabled = true;
    try {
      const found = await ask(server, "power", { study: state.takeAway, n: "20:200" });
      const rows = found.power.map((/** @type {any} */ e) => h("tr", {}, h("td", {}, `${e.arm} against ${e.against}`), h("td", { class: "n" }, e.n), h("td", { class: "n" }, shown(e.power, 2)), h("td", { class: "n" }, shown(e.assurance, 2))));
      place.replaceChildren(table("power", ["comparison", ["people an arm", "n"], ["power", "n"], ["assurance", "n"]], rows), ...found.notes.map((/** @type {string} */ t) => h("p", { class: "fine" }, t)));
    } catch (error) {
      place.replaceChildren(...String(/** @type {any} */ (error).message).split("\n").map((line) => h("p", {}, line)));
    }
    power.disabled = false;
  } }, "Power by size");
  return [h("p", {}, "The study as it stands, with people who differ, rating error and dropout of the scales, in trials of the size it names."),
    h("div", { class: "filters" }, h("label", {}, "Virtual people an arm", people), run, power), place];
}

/** @param {{token?: string}} server @param {string} what @param {any} body */
async function ask(server, what, body) {
  const answer = await fetch(`/${server.token}/api/${what}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const found = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error ?? `the server answered ${answer.status}`);
  return found;
}

/**
 * A choice of the library's scenes, from the server.
 * @param {{token?: string}} server @param {string} now
 */
export async function sceneChoice(server, now) {
  const scenes = await (await fetch(`/${server.token}/api/scenes`)).json();
  const known = scenes.some((/** @type {any} */ one) => one.name === now);
  return h("select", { id: "scene-choice", "aria-label": "Scene", onchange: (/** @type {any} */ e) => e.target.value && location.assign(`/${server.token}/scene/${e.target.value}`) },
    known ? null : h("option", { value: "", selected: true }, "this study"), scenes.map((/** @type {any} */ one) => h("option", { value: one.name, selected: one.name === now }, one.title)));
}
