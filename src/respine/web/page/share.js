// What a reader takes away: the link, the study, the numbers, the pictures, and the code that gives the same view.

import { h } from "./dom.js";
import { same } from "./state.js";
import { yaml } from "./yaml.js";

const STYLED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "fill-opacity", "font-size", "font-family"];

/** @param {any} state @param {any} chain @param {() => any} solved @param {any[]} drawings */
export function share(state, chain, solved, drawings) {
  const said = h("p", { class: "fine", role: "status" });
  const name = state.page.scene.name;
  const pictures = () => combined(chain, drawings);
  return [
    h("h3", {}, "A link to this very view"),
    h("div", { class: "away" }, button("Copy link", async () => {
      await navigator.clipboard?.writeText(location.href);
      said.textContent = "The link is in the clipboard. It works with this page wherever it lies.";
    }, said), h("input", { type: "text", readonly: true, value: location.href, "aria-label": "Link to this view" })),
    h("h3", {}, "To compute with"),
    h("div", { class: "away" }, button("Study (YAML)", () => save(`${name}.yaml`, studyText(state), "application/yaml"), said), button("Numbers (CSV)", () => save(`${name}.csv`, csv(state, solved()), "text/csv"), said), button("Python code", () => save(`${name}.py`, python(state), "text/x-python"), said)),
    h("h3", {}, "To show"),
    h("div", { class: "away" }, button("Picture (SVG)", () => save(`${name}.svg`, pictures(), "image/svg+xml"), said), button("Picture (PNG)", () => png(pictures(), `${name}.png`), said), button("Print", () => window.print(), said)),
    said, h("h3", {}, "The study as it stands"), h("pre", { class: "code", tabindex: "0", id: "yaml" }, studyText(state)), h("h3", {}, "The same in Python"), h("pre", { class: "code", tabindex: "0", id: "python" }, python(state)),
  ];
}

/** @param {any} state */
export function studyText(state) {
  return `# ${state.page.scene.title}: made by the page of respine ${state.page.provenance.versions.respine}.\n# Run it with: respine run ${state.page.scene.name}.yaml\n${yaml(state.takeAway)}`;
}

/** Values of every curve, a row a scenario, panel and time. @param {any} state @param {any} solved */
export function csv(state, solved) {
  const lines = ["scenario,panel,time_h,value"];
  for (const arm of solved.arms) {
    for (const [panel, curve] of Object.entries(/** @type {Record<string, Float64Array>} */ (arm.curves))) {
      for (let k = 0; k < solved.times.length; k++) lines.push(`${JSON.stringify(arm.name)},${panel},${solved.times[k]},${curve[k]}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** @param {any} state */
export function python(state) {
  const outputs = state.page.scene.chain;
  const note = same(state.study.arms, state.original.arms) ? "" : "# as changed in the page\n";
  return `import respine as rs
from respine.protocol.typical import typical

${note}study = rs.Study.from_yaml(r"""
${yaml(state.takeAway)}""")
outputs = ${JSON.stringify(outputs)}
curves = typical(study, outputs)          # the typical subject: {arm: {output: values}}, at the hours of a run
results = rs.simulate(study)              # ${state.study.subjects} people an arm, with scores and endpoints
results.plot()
`;
}

/** @param {string} text @param {() => any} act @param {any} said */
function button(text, act, said) {
  return h("button", { type: "button", onclick: async () => {
    try {
      await act();
      if (!said.textContent) said.textContent = `${text}: done.`;
    } catch (error) {
      said.textContent = `${text} could not be made: ${/** @type {any} */ (error).message ?? error}`;
    }
  } }, text);
}

/** @param {string} name @param {string | Blob} content @param {string} kind */
function save(name, content, kind) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: kind }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** The whole chain as one picture that needs no style sheet; light, on white. @param {any} chain @param {any[]} drawings */
export function combined(chain, drawings) {
  chain.flush();
  const root = document.documentElement, look = root.dataset.look;
  root.dataset.look = "light";
  const width = Math.max(chain.width, 640), escape = (/** @type {string} */ t) => t.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  let y = 34, body = `<text x="8" y="22" font-size="15" font-weight="600" fill="#1b2126">${escape(chain.page.scene.title)}</text>`;
  const wide = Math.min(width / drawings.length, 300);
  drawings.forEach((one, k) => {
    body += `<svg x="${k * wide}" y="${y}" width="${wide}" height="${wide * 0.9}" viewBox="${one.dendrite.box.join(" ")}">${inner(one.svg)}</svg><text x="${k * wide + wide / 2}" y="${y + wide * 0.9 + 12}" font-size="12" text-anchor="middle" fill="#56616b">${escape(one.caption)}</text>`;
  });
  y += wide * 0.9 + 30;
  for (const { about, plot } of chain.plots) {
    body += `<text x="8" y="${y}" font-size="12.5" font-weight="600" fill="#1b2126">${escape(about.title)}</text><text x="${width - 8}" y="${y}" font-size="12" text-anchor="end" fill="#56616b">${escape([about.unit, about.worse].filter(Boolean).join(", "))}</text>`;
    body += `<g transform="translate(0 ${y + 4})">${inner(plot.svg)}</g>`;
    y += plot.height + 26;
  }
  if (look === undefined) delete root.dataset.look;
  else root.dataset.look = look;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 16}" viewBox="0 0 ${width} ${y + 16}" font-family="Arial, sans-serif"><rect width="100%" height="100%" fill="#fff"/>${body}<text x="8" y="${y + 8}" font-size="11" fill="#56616b">Research model. Not advice for any person.</text></svg>`;
}

/** Children of a drawing with the looks they have on screen. @param {any} svg */
function inner(svg) {
  const copy = svg.cloneNode(true), from = svg.querySelectorAll("*"), to = copy.querySelectorAll("*");
  from.forEach((/** @type {any} */ one, /** @type {number} */ k) => {
    const look = getComputedStyle(one);
    for (const name of STYLED) {
      const value = look.getPropertyValue(name);
      if (value && !value.startsWith("url(")) to[k].setAttribute(name, value);
    }
    to[k].removeAttribute("class");
  });
  return new XMLSerializer().serializeToString(copy).replace(/^<svg[^>]*>/, "").replace(/<\/svg>$/, "");
}

/** @param {string} text @param {string} name */
async function png(text, name) {
  const image = new Image();
  image.src = `data:image/svg+xml;base64,${btoa(unescape(encodeURIComponent(text)))}`;
  await image.decode();
  const canvas = h("canvas", { width: image.width * 2, height: image.height * 2 });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!(blob instanceof Blob)) throw new Error("the browser made no picture");
  save(name, blob, "image/png");
}
