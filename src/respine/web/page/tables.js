// The claims with both verdicts, the evidence browser, and what this page is.

import { h } from "./dom.js";
import { shown } from "./units.js";
import { table } from "./why.js";

const AT_ONCE = 60;

/** @param {any} page */
export function claims(page) {
  const { record } = page;
  if (!record.claims.length) return [h("p", {}, "Claims belong to the library's own models; this page holds another one.")];
  const waits = record.claims.some((/** @type {any} */ c) => !c.model_verdict);
  return [
    h("p", {}, "What \"Ketamine Rapidly Relieves Depression by Restoring Brain Connections\" (2012) and the debate around it claim: what this model says when the experiment is run, and what published results say. A model that agrees with a claim is no evidence for it."),
    waits ? h("p", { class: "fine" }, "The model's verdicts were not computed for this page; `respine page ... --evidence` computes them.") : null,
    table("claims", ["claim", "model", "published record"], record.claims.map((/** @type {any} */ c) => h("tr", {}, h("td", {}, h("details", {}, h("summary", {}, c.claim), conditions(c))), h("td", {}, c.model_verdict || "not computed"), h("td", {}, c.record_verdict)))),
  ].filter(Boolean);
}

/** @param {any} c */
function conditions(c) {
  const line = (/** @type {any} */ one) => h("li", {}, `${one.what}: ${one.value === null || one.value === undefined ? one.text : `${shown(one.value)} ${one.unit}`.trim()}${one.target && one.target !== "evidence" ? ` (asked: ${one.target})` : ""}; ${one.holds ? "holds" : "does not hold"}${one.source?.length ? ` (${one.source.join(", ")})` : ""}`);
  return [c.model?.length ? [h("p", { class: "fine" }, "Model"), h("ul", {}, c.model.map(line))] : null, c.record?.length ? [h("p", { class: "fine" }, "Published record"), h("ul", {}, c.record.map(line))] : null,
    ...[c.note, c.model_note, c.record_note].filter(Boolean).map((text) => h("p", { class: "fine" }, text))];
}

/** @param {any} page */
export function evidence(page) {
  const { rows, complete } = page.record;
  if (!rows.length) return [h("p", {}, "Evidence belongs to the library's own models; this page holds another one.")];
  const words = (/** @type {string} */ key) => [...new Set(rows.map((/** @type {any} */ r) => r[key]).filter(Boolean))].sort();
  const system = h("select", { "data-key": "evidence-system" }, h("option", { value: "" }, "all"), words("system").map((w) => h("option", { value: w }, w)));
  const role = h("select", { "data-key": "evidence-role" }, h("option", { value: "" }, "all"), words("role").map((w) => h("option", { value: w }, w)));
  const judged = h("select", { "data-key": "evidence-judged" }, [["", "all"], ["yes", "inside"], ["no", "outside"], ["none", "not predicted"]].map(([v, t]) => h("option", { value: v }, t)));
  const find = h("input", { type: "search", "data-key": "evidence-find" });
  const place = h("div", {}), count = h("p", { class: "fine", role: "status" });
  let many = AT_ONCE;
  const draw = () => {
    const text = find.value.toLowerCase();
    const chosen = rows.filter((/** @type {any} */ r) => (!system.value || r.system === system.value) && (!role.value || r.role === role.value) &&
      (!judged.value || (judged.value === "none" ? r.predicted === undefined : r.inside === (judged.value === "yes"))) && (!text || `${r.id} ${r.what} ${r.study}`.toLowerCase().includes(text)));
    const inside = chosen.filter((/** @type {any} */ r) => r.inside === true).length, all = chosen.filter((/** @type {any} */ r) => r.inside !== undefined).length;
    count.textContent = `${chosen.length} rows${all ? `; ${inside} of ${all} judged lie inside the prediction` : ""}.`;
    const lines = chosen.slice(0, many).map((/** @type {any} */ r) => h("tr", {}, h("td", {}, r.study), h("td", {}, r.what), h("td", {}, r.system), h("td", { class: "n" }, r.published === undefined ? (r.published_text ?? "") : shown(r.published), r.unit && r.unit !== "1" ? ` ${r.unit}` : ""),
      h("td", { class: "n" }, r.predicted === undefined ? (r.reason ? "–" : "not computed") : `${shown(r.predicted)} (${shown(r.low)} to ${shown(r.high)})`), h("td", {}, r.inside === undefined ? "" : r.inside ? "inside" : "outside"), h("td", {}, r.role)));
    const more = chosen.length > many ? h("button", { type: "button", onclick: () => ((many += 5 * AT_ONCE), draw()) }, `Show more (${chosen.length - many} left)`) : null;
    place.replaceChildren(table("evidence", ["study", "result", "system", ["published", "n"], ["predicted (90 %)", "n"], "verdict", "role"], lines), more ?? "");
  };
  for (const one of [system, role, judged]) one.addEventListener("change", () => ((many = AT_ONCE), draw()));
  find.addEventListener("input", () => ((many = AT_ONCE), draw()));
  draw();
  return [
    h("p", {}, "Every published result the model is measured against. Rows of role fit may have been used to find a number of the model; validate rows never were; context rows are background."),
    complete ? null : h("p", { class: "fine" }, "Predictions stand where this machine had computed them; `respine page ... --evidence` computes all."),
    h("div", { class: "filters" }, h("label", {}, "System", system), h("label", {}, "Role", role), h("label", {}, "Judged", judged), h("label", {}, "Find", find)), count, place,
  ].filter(Boolean);
}

/** @param {any} page */
export function about(page) {
  const { provenance, model, people, scene } = page, counts = /** @type {Record<string, number>} */ ({});
  for (const one of Object.values(/** @type {Record<string, any>} */ (model.symbols))) if (one.role === "parameter") counts[one.status || "without status"] = (counts[one.status || "without status"] ?? 0) + 1;
  return [
    h("h3", {}, "What this is not"),
    h("p", {}, "This is a research model. It is not advice for any person, it predicts nothing for a person, and no dose in it is a recommendation. It shows typical subjects and groups of virtual people. A curve is what the equations say, not what was seen; where published results stand, they stand as points."),
    h("p", {}, "If you or somebody near you is in danger or thinks of suicide, call your local emergency number or a local crisis line. People there can help now."),
    h("h3", {}, "What this is"),
    h("p", {}, `The ${model.name} model with ${Object.values(model.symbols).filter((/** @type {any} */ o) => o.role === "state").length} states and ${Object.values(counts).reduce((a, b) => a + b, 0)} parameters (${Object.entries(counts).map(([k, v]) => `${v} ${k}`).join(", ")}), solved in this page by the same kernels as on the command line. Nothing is sent anywhere. People: ${people.title}. ${people.note}`),
    h("h3", {}, "Versions and hashes"),
    table("versions", ["what", "value"], [["scene", scene.name], ...Object.entries(provenance.versions), ["study fingerprint", provenance.fingerprint], ...Object.entries(provenance.facts)].map(([name, value]) => h("tr", {}, h("td", {}, name), h("td", {}, h("code", {}, value))))),
    h("h3", {}, "Sources"),
    h("ul", {}, Object.entries(page.sources).map(([key, ref]) => h("li", { class: "fine" }, [ref.author, ref.year, ref.title, ref.journal].filter(Boolean).join(", ") || key, ref.doi ? [" ", h("a", { href: `https://doi.org/${ref.doi}`, rel: "noreferrer", target: "_blank" }, ref.doi)] : ""))),
  ];
}
