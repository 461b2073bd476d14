// The basis of all parts: nodes made of text, questions to the server, lists that change in place.

const $ = (id) => document.getElementById(id);

// Data goes into nodes as text only. `href` is given only by the functions below that check it.
const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
};
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const bdi = (...children) => el("bdi", {}, ...children);

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value) => (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]);
const textOf = (value) =>
  typeof value === "string" ? value : value === undefined || value === null ? "" : isObject(value) || Array.isArray(value) ? JSON.stringify(value, null, 1) : String(value);

const numbers = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = (value) => (Number.isFinite(value) ? (Math.abs(value) < 1e5 ? numbers.format(Math.round(value)) : short.format(value)) : "–");
const plural = (value, one, many) => `${numbers.format(value)}\u00a0${value === 1 ? one : many}`;
const duration = (ms) => {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3600e3) return `${Math.round(ms / 60e3)} min`;
  return `${(ms / 3600e3).toFixed(1)} h`;
};

const regions = (() => {
  try { return new Intl.DisplayNames(["en"], { type: "region" }); } catch { return undefined; }
})();
const countryName = (code) => {
  if (!/^[A-Z]{2}$/.test(code)) return code;
  try { return regions?.of(code) ?? code; } catch { return code; }
};

// Addresses ---------------------------------------------------------------------------------------

const encode = (text) => encodeURIComponent(text.toWellFormed ? text.toWellFormed() : text);
const entityHash = (projection, id) => `#/${encode(projection)}/${encode(textOf(id))}`;

// A link to another site, only when it is one: never `javascript:`, `data:` or a half address.
const outward = (value) => {
  const text = textOf(value);
  try {
    const url = new URL(text);
    if (!["http:", "https:"].includes(url.protocol)) return text;
    return el("a", { href: url.href, rel: "noopener noreferrer", target: "_blank", dir: "ltr" }, text);
  } catch {
    return text;
  }
};
const mail = (value, shown = [textOf(value)]) =>
  /^[\w.!#$%*+/=^`{|}~-]+@[\w.-]+$/.test(textOf(value)) ? el("a", { href: `mailto:${encode(textOf(value))}`, dir: "ltr" }, shown) : bdi(shown);
const phone = (value, shown = [textOf(value)]) => {
  const digits = textOf(value).replace(/[\s().\-/]/g, "");
  return /^\+?\d{3,20}$/.test(digits) ? el("a", { href: `tel:${digits}`, dir: "ltr" }, shown) : bdi(shown);
};

// Highlights --------------------------------------------------------------------------------------

const ESCAPES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };
const unescaped = (text) => text.replace(/&(?:amp|lt|gt|quot|#39);/g, (escape) => ESCAPES[escape]);

// Text nodes and <mark>s of one highlight, whose only tags are <em> and </em>.
const marked = (fragment) => {
  const nodes = [];
  let inside = false;
  for (const piece of textOf(fragment).split(/(<\/?em>)/)) {
    if (piece === "<em>") inside = true;
    else if (piece === "</em>") inside = false;
    else if (piece) nodes.push(inside ? el("mark", {}, unescaped(piece)) : unescaped(piece));
  }
  return nodes;
};
const plain = (fragment) => unescaped(textOf(fragment).replace(/<\/?em>/g, ""));

// A text with its marks where a highlight is the whole of it, else as it is.
const withMarks = (value, fragments) => {
  const text = textOf(value);
  const whole = list(fragments).find((fragment) => plain(fragment) === text);
  return whole === undefined ? [text] : marked(whole);
};

// Parts of one line. Each has its dot before it, which is not read out and is cut off where the part begins a line.
const dotted = (tag, name, parts) => {
  const given = parts.filter((part) => part !== undefined && part !== null && part !== "" && part !== false);
  const asNode = (part) => (part instanceof Node ? part : el("span", {}, part));
  return given.length > 0 && el(tag, { class: `${name} dotted` }, given.map((part, at) => [at > 0 && " ", el("span", { class: "part" }, asNode(part))]));
};
const status = (value) => textOf(value) && el("span", { class: "status", "data-status": textOf(value).toLowerCase().slice(0, 20) }, bdi(textOf(value)));

// Questions ---------------------------------------------------------------------------------------

const ANSWER_MS = 20_000;

class Problem extends Error {
  constructor(code, title, detail) {
    super(detail || title);
    this.code = code;
    this.title = title;
  }
}
const isAway = (problem) => problem instanceof Problem && problem.code === 0;

// A number that no double holds is kept as it was written, where the browser tells that.
const exact = (name, value, written) => {
  const isHeld = typeof value !== "number" || (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value));
  return isHeld ? value : (written?.source ?? value);
};

const ask = async (path, signal) => {
  const late = AbortSignal.timeout(ANSWER_MS);
  let response;
  let text;
  try {
    response = await fetch(path, { signal: signal ? AbortSignal.any([signal, late]) : late, headers: { accept: "application/json" } });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    away(true);
    throw new Problem(0, "Not reachable", late.aborted ? "The server does not answer." : "The server cannot be reached.");
  }
  away(false);
  let body;
  try { body = JSON.parse(text, exact); } catch { /* told below */ }
  if (!response.ok) {
    const told = isObject(body) ? body : {};
    throw new Problem(response.status, textOf(told.title) || `Error ${response.status}`, textOf(told.detail));
  }
  if (!isObject(body)) throw new Problem(response.status, "Unreadable answer", "The answer is not what this page understands.");
  return body;
};

// The banner while the server is away, and the step that follows its return.
const returned = [];
let isGone = false;
const away = (gone) => {
  if (gone === isGone) return;
  isGone = gone;
  $("away").textContent = gone ? "The server cannot be reached. What you see may be out of date; this page goes on trying." : "";
  $("away").hidden = !gone;
  if (!gone) returned.forEach((then) => then());
};

const problemNote = (problem, again) => [
  el("h3", {}, isAway(problem) ? "The server cannot be reached" : textOf(problem.title) || "Something went wrong"),
  el("p", { dir: "auto" }, isAway(problem) ? "This page goes on trying." : problem.message),
  el("p", {}, el("button", { type: "button", "data-focus": "again", onclick: again }, "Try again")),
];

const say = (text) => { $("said").textContent = text; };

// Lists that change in place ----------------------------------------------------------------------

// The focus within `parent`: the item's key and the part of it, by which the focus is found again.
const focusIn = (parent) => {
  const active = document.activeElement;
  if (!active || active === parent || !parent.contains(active)) return undefined;
  const item = active.closest("[data-key]");
  const inside = item && parent.contains(item) ? item : undefined;
  const index = inside ? [...inside.parentElement.children].indexOf(inside) : -1;
  return { active, key: inside?.dataset.key, index, list: inside?.parentElement, part: active.dataset.focus };
};
const focusAgain = (parent, held) => {
  if (!held || document.activeElement === held.active) return;
  const items = [...parent.querySelectorAll("[data-key]")];
  const item = items.find((node) => node.dataset.key === held.key) ?? (held.list?.isConnected ? held.list.children[Math.max(0, Math.min(held.index, held.list.children.length - 1))] : undefined);
  const within = item ?? parent;
  const parts = [...within.querySelectorAll("[data-focus]")];
  const node = parts.find((part) => part.dataset.focus === held.part) ?? within.querySelector("a[href], button, input");
  (node ?? $("results")).focus({ preventScroll: true });
};

const shapes = new WeakMap();

// Makes the children of `parent` those of `items`, by key. An equal item keeps its node, so
// that focus, selection and scrolling stay. `update`, where given, changes a node instead of replacing it.
const reconcile = (parent, items, { key, make, update, shape = JSON.stringify }) => {
  const held = focusIn(parent);
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const seen = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    if (seen.has(name)) continue;
    seen.add(name);
    const form = shape(item);
    let node = old.get(name);
    if (!node || shapes.get(node) !== form) {
      if (node && update) {
        update(node, item);
      } else {
        const made = make(item, node);
        made.dataset.key = name;
        if (node) node.replaceWith(made);
        if (at === node && node) at = made;
        node = made;
      }
      shapes.set(node, form);
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const [name, node] of old) if (!seen.has(name)) node.remove();
  focusAgain(parent, held);
};
