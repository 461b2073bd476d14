
// Where the page is, keys, and time ----------------------------------------------------------------

const LIVE_MS = 5_000;
const RARE_MS = 20_000;
const LARGE = 300_000;
const wide = matchMedia("(min-width: 60rem)");

let place;
let depth = 0;
let savedScroll = 0;
let lastHit;

const title = (text) => {
  // Marks that turn the direction of writing stay out of the window's title.
  const clean = text.replace(/[\u0000-\u001f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "").slice(0, 80);
  document.title = clean ? `${clean} – Tributary` : "Tributary";
};

const decoded = (text) => {
  try { return decodeURIComponent(text); } catch { return text; }
};
const readHash = () => {
  const hash = location.hash.replace(/^#/, "");
  const found = /^\/([^/?]+)\/([^?]+)$/.exec(hash);
  if (found) {
    const [projection, id] = found.slice(1).map(decoded);
    if (projectionOf(projection)) return { projection, id };
  }
  const search = /^\/?(?:\?(.*))?$/s.exec(hash);
  return search ? { search: search[1] ?? "" } : { unknown: hash };
};

// Shows the view that the address names. Each entry of the history knows how deep it is, so that Escape knows
// whether there is something of ours to go back to.
const route = () => {
  clearTimeout(typed);
  if (Number.isInteger(history.state?.depth)) depth = history.state.depth;
  else history.replaceState({ depth: ++depth }, "");
  const to = readHash();
  const from = place;
  place = to;
  const isSearch = to.search !== undefined;
  if (from?.search !== undefined && !isSearch) savedScroll = scrollY;
  $("search").hidden = !isSearch;
  $("entity").hidden = isSearch;
  $("side").hidden = !isSearch;
  $("body").classList.toggle("single", !isSearch);
  if (!isSearch) {
    if (from) document.activeElement?.blur();
    if (to.unknown === undefined) showEntity(to.projection, to.id);
    else showUnknown(to.unknown);
    scrollTo(0, 0);
    if (from) $("entity").querySelector("h1")?.focus({ preventScroll: true });
    return;
  }
  entity.asking?.abort();
  Object.assign(entity, { projection: undefined, id: undefined, form: undefined, asking: undefined });
  const before = JSON.stringify(query);
  readSearch(to.search);
  showQuery();
  const isSame = before === JSON.stringify(query) && shown.total !== undefined;
  search({ quiet: isSame });
  if (!isSame) suggest();
  if (from && from.search === undefined) {
    scrollTo(0, isSame ? savedScroll : 0);
    const hit = [...$("hits").querySelectorAll("a")].find((link) => link.getAttribute("href") === lastHit);
    if (isSame && hit) hit.focus({ preventScroll: true });
    else $("q").focus({ preventScroll: true });
  } else if (from && !isSame) {
    scrollTo(0, 0);
  }
};

const showQuery = () => {
  if ($("q").value !== query.q) $("q").value = query.q;
  showClear();
  setSwitch();
  showChips();
  title(query.q);
};

// Where to search: a switch, or a list where there are many or their names are long.
const SWITCH_MOST = 3;
const SWITCH_LETTERS = 40;
const makeSwitch = () => {
  const names = model.collections.map((collection) => collection.name);
  const label = (name) => upper(nounOf(name).many);
  const isList = names.length > SWITCH_MOST || names.map(label).join("").length > SWITCH_LETTERS;
  const select = () => el("select", { id: "in", name: "in", "aria-label": "Search in", onchange: () => change({ in: $("in").value, q: $("q").value }) },
    names.map((name) => el("option", { value: name }, label(name))));
  const radio = (name) => el("label", {}, el("input", { type: "radio", name: "in", value: name, onchange: () => change({ in: name, q: $("q").value }) }), el("span", {}, label(name)));
  $("switch").replaceChildren(el("legend", { class: "unseen" }, "Search in"), ...(isList ? [select()] : names.map(radio)));
  $("switch").hidden = names.length < 2;
  $("form").hidden = names.length === 0;
};
const setSwitch = () => {
  for (const radio of $("switch").querySelectorAll("input")) radio.checked = radio.value === query.in;
  if ($("in")) $("in").value = query.in;
};

const showClear = () => { $("clear").hidden = $("q").value === ""; };

// Goes to another search. Typing overwrites the entry of the history, anything else makes one.
const change = (to, { overwrite = false } = {}) => {
  clearTimeout(typed);
  // Nothing is searched before the page knows the collections.
  if (!place) return;
  const isHere = place?.search !== undefined;
  const under = collectionOf(query.in)?.under;
  Object.assign(query, { q: $("q").value }, to);
  // Ids of other entities narrow nothing here.
  if (to.under === undefined && collectionOf(query.in)?.under !== under) query.under = "";
  fitQuery();
  const hash = searchHash();
  try {
    if (overwrite && isHere) history.replaceState(history.state, "", hash);
    else if (location.hash !== hash) history.pushState({ depth: ++depth }, "", hash);
  } catch { /* a browser that allows few changes a second: the search goes on */ }
  if (!isHere) {
    place = { search: hash.slice(3) };
    $("search").hidden = false;
    $("entity").hidden = true;
    $("side").hidden = false;
    $("body").classList.remove("single");
    entity.asking?.abort();
    Object.assign(entity, { projection: undefined, id: undefined, form: undefined, asking: undefined });
    scrollTo(0, 0);
  }
  place = { search: hash.slice(3) };
  showQuery();
  search();
  suggest();
};

// Keys --------------------------------------------------------------------------------------------

const isTyping = (node) => node instanceof HTMLElement && (node.matches("textarea, select, input:not([type=checkbox], [type=radio])") || node.isContentEditable);
const isSeen = (node) => node.getClientRects().length > 0;

const back = () => {
  if (depth > 1) history.back();
  else location.hash = searchHash();
};

const step = (event, by) => {
  const rows = [...document.querySelectorAll("main [data-row]")].filter(isSeen);
  const active = document.activeElement;
  const here = active?.closest?.("#hits > li") ?? active?.closest?.(".people > li, .children > li");
  let at = rows.findIndex((row) => row === active || (here && here.contains(row)));
  const isField = active === $("q");
  const isSearch = place?.search !== undefined;
  if (at < 0 && !(isField || (isSearch && active === document.body))) return;
  if (at < 0 && by < 0) return;
  event.preventDefault();
  at += by;
  if (at < 0 && isSearch) $("q").focus();
  else if (at >= rows.length && isSearch && !$("more").hidden) $("more").focus();
  else rows[Math.max(0, Math.min(at, rows.length - 1))]?.focus();
};

const key = (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const active = document.activeElement;
  if (event.altKey && event.key === "ArrowUp" && !$("entity").hidden) {
    const parent = $("entity").querySelector("[data-parent]");
    if (parent) { event.preventDefault(); parent.click(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !isTyping(active)) {
    event.preventDefault();
    $("q").focus();
    $("q").select();
  } else if (event.key === "Escape") {
    event.preventDefault();
    if (place?.search === undefined) back();
    else if (active !== $("q")) $("q").focus();
    else if ($("q").value) { $("q").value = ""; change({ q: "" }, { overwrite: true }); }
    else $("q").blur();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (active?.matches?.("input[type=radio], pre, h1.long")) return;
    if (active === $("more") && event.key === "ArrowUp") { event.preventDefault(); [...$("hits").querySelectorAll("[data-row]")].at(-1)?.focus(); return; }
    step(event, event.key === "ArrowDown" ? 1 : -1);
  }
};
