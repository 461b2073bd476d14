
// Wiring ------------------------------------------------------------------------------------------

const listen = () => {
  $("q").addEventListener("input", () => {
    clearTimeout(typed);
    showClear();
    typed = setTimeout(() => change({ q: $("q").value }, { overwrite: true }), WAIT_MS);
  });
  $("clear").addEventListener("click", () => {
    $("q").value = "";
    $("q").focus();
    change({ q: "" }, { overwrite: true });
  });
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (query.q !== $("q").value) change({ q: $("q").value }, { overwrite: true });
    else if (place?.search !== undefined) $("hits").querySelector("[data-row]")?.focus();
    else change({});
  });
  $("sort").addEventListener("change", () => change({ sort: $("sort").value }));
  $("more").addEventListener("click", more);
  $("skip").addEventListener("click", (event) => { event.preventDefault(); $("results").focus(); });
  $("hits").addEventListener("click", (event) => { lastHit = event.target.closest?.("a")?.getAttribute("href") ?? lastHit; });
  document.querySelector(".brand").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    change({ q: "", under: "", filters: [], sort: "" });
    $("q").focus();
  });
  document.addEventListener("keydown", key);
};

const layOut = () => { $("filters").open = wide.matches; };
wide.addEventListener("change", layOut);
layOut();

// Asks quietly for the shown view again, and for large parts less often. A wrong question stays wrong.
const refresh = () => {
  if (document.hidden || !place) return;
  const now = performance.now();
  if (place?.search !== undefined) {
    if (shown.problem?.code >= 400 && shown.problem.code < 500) return;
    if (now - shown.at < (shown.hits.length > 100 ? RARE_MS : STATUS_MS / 2)) return;
    search({ quiet: true });
  } else if (entity.id !== undefined) {
    if (now - entity.at < (entity.form?.length > LARGE ? RARE_MS : STATUS_MS / 2)) return;
    showEntity(entity.projection, entity.id, { quiet: true });
  }
};

let statusTimer;
let refreshed = 0;
const tick = async () => {
  clearTimeout(statusTimer);
  if (document.hidden) return;
  try {
    const hasMoved = await readStatus();
    if (hasMoved || performance.now() - refreshed > LIVE_MS - STATUS_MS / 2) {
      refreshed = performance.now();
      refresh();
    }
  } finally {
    clearTimeout(statusTimer);
    if (!document.hidden) statusTimer = setTimeout(tick, STATUS_MS);
  }
};

// The start: the page asks for the collections until the server tells them -------------------------------

const RETRY_MS = 2_000;
const start = async () => {
  try {
    await learnModel();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (!isAway(problem)) note(el("h3", {}, problem.title), el("p", { dir: "auto" }, problem.message));
    await readStatus();
    return false;
  }
  return true;
};
let beginning;
const begin = async () => {
  clearTimeout(beginning);
  if (!(await start())) {
    beginning = setTimeout(begin, RETRY_MS);
    return;
  }
  note();
  const given = $("q").value;
  query.in = model.collections[0]?.name ?? "";
  makeSwitch();
  setSwitch();
  showNames();
  returned.push(refresh, relearn);
  addEventListener("online", refresh);
  addEventListener("hashchange", route);
  document.addEventListener("visibilitychange", tick);
  route();
  // The text that was typed before the page knew the collections.
  if (given && place.search === "") change({ q: given }, { overwrite: true });
  if (place.search !== undefined && wide.matches) $("q").focus({ preventScroll: true });
  tick();
};
// A server that came back with another model needs another page.
const relearn = async () => {
  try {
    if (await learnModel()) location.reload();
  } catch { /* the next return tells it */ }
};

history.scrollRestoration = "manual";
listen();
begin();
