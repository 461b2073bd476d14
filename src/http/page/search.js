
// The search: its state, the hits, the filters -----------------------------------------------------

const PAGE = 20;
const WAIT_MS = 120;
const SLOW_MS = 200;
const query = { q: "", in: "", under: "", filters: [], sort: "" };
const shown = { hits: [], total: undefined, next: undefined, problem: undefined, at: -Infinity };
const names = new Map();
let asking;
let typed;

const searchHash = (of = query) => {
  const parameters = new URLSearchParams();
  if (of.q.trim()) parameters.set("q", of.q);
  if (of.in && of.in !== model.collections[0].name) parameters.set("in", of.in);
  if (of.under) parameters.set("under", of.under);
  of.filters.forEach((filter) => parameters.append("filter", filter));
  if (of.sort) parameters.set("sort", of.sort);
  const text = parameters.toString();
  return text ? `#/?${text}` : "#/";
};
const readSearch = (text) => {
  const parameters = new URLSearchParams(text);
  query.q = parameters.get("q") ?? "";
  query.in = (collectionOf(parameters.get("in")) ?? model.collections[0])?.name ?? "";
  query.under = parameters.get("under") ?? "";
  query.filters = [...new Set(parameters.getAll("filter"))];
  query.sort = parameters.get("sort") ?? "";
  fitQuery();
};
// Keeps the filters and the order that the collection of the query has.
const fitQuery = () => {
  const collection = collectionOf(query.in);
  query.filters = query.filters.filter((filter) => filterOf(collection, filter));
  if (!collection?.under) query.under = "";
  const sorts = collection ? sortsOf(collection) : [];
  if (!sorts.some(([sort]) => sort === query.sort)) query.sort = "";
  if ($("sort").dataset.of !== query.in) $("sort").replaceChildren(...sorts.map(([sort, label]) => el("option", { value: sort }, label)));
  $("sort").dataset.of = query.in;
  $("sort").value = query.sort;
};
const searchPath = (size, after) => {
  // A query without a word finds nothing; without a query everything is found.
  const parameters = new URLSearchParams(query.q.trim() ? { q: query.q, in: query.in } : { in: query.in });
  if (query.under) parameters.set("under", query.under);
  query.filters.forEach((filter) => parameters.append("filter", filter));
  if (query.sort) parameters.set("sort", query.sort);
  parameters.set("size", size);
  if (after) parameters.set("after", after);
  else parameters.set("facets", filtersOf(collectionOf(query.in)).filter(isFacet).map((filter) => filter.name).join(","));
  return `/search?${parameters}`;
};

// Asks again. `quiet`: as many hits as are shown, and nothing moves, blinks or is read out.
const search = async ({ quiet = false } = {}) => {
  if (!query.in) return note(...noSearch());
  if (quiet && asking) return;
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  if (!quiet) unfolded.clear();
  const slow = quiet ? undefined : setTimeout(() => busy(true), SLOW_MS);
  try {
    const wanted = quiet ? Math.max(PAGE, shown.hits.length) : PAGE;
    const answer = await ask(searchPath(Math.min(100, wanted)), mine.signal);
    let hits = list(answer.hits);
    let next = answer.next;
    while (hits.length < wanted && next) {
      const further = await ask(searchPath(Math.min(100, wanted - hits.length), next), mine.signal);
      hits = hits.concat(list(further.hits));
      next = list(further.hits).length > 0 ? further.next : undefined;
    }
    if (asking !== mine) return;
    Object.assign(shown, { hits, next, total: answer.total, problem: undefined, at: performance.now() });
    $("took").textContent = quiet || !Number.isFinite(answer.took_ms) ? $("took").textContent : `in ${answer.took_ms} ms`;
    showFacets(answer.facets);
    showHits(quiet);
  } catch (problem) {
    if (asking !== mine || mine.signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    // Hits that are there are worth more than a message: the banner tells of an absent server.
    if (quiet || (isAway(problem) && shown.hits.length > 0)) return;
    Object.assign(shown, { hits: [], next: undefined, total: undefined, problem });
    showHits(quiet);
  } finally {
    clearTimeout(slow);
    if (asking === mine) {
      asking = undefined;
      busy(false);
    }
  }
};

const noSearch = () => [
  el("h3", {}, "Nothing is searched"),
  el("p", {}, "The model does not say how a projection is searched."),
  model.projections.length > 0 && el("p", {}, "A document is shown at ", el("code", {}, `#/${model.projections[0].name}/ID`), "."),
].filter(Boolean);

const more = async () => {
  if (asking || !shown.next) return;
  const mine = new AbortController();
  asking = mine;
  $("more").setAttribute("aria-disabled", "true");
  try {
    const answer = await ask(searchPath(PAGE, shown.next), mine.signal);
    if (asking !== mine) return;
    const first = shown.hits.length;
    shown.hits = shown.hits.concat(list(answer.hits));
    shown.next = answer.next;
    showHits(true);
    const row = $("hits").children[first]?.querySelector("[data-row]");
    row?.focus();
    say(`${plural(shown.hits.length, "hit", "hits")} shown`);
  } catch (problem) {
    if (asking === mine && problem instanceof Problem && !isAway(problem)) say(problem.message);
    // A cursor that is no longer known: from the start, as many as there were.
    if (asking === mine && problem.code === 400) { asking = undefined; search({ quiet: true }); }
  } finally {
    if (asking === mine) asking = undefined;
    $("more").removeAttribute("aria-disabled");
  }
};

const busy = (is) => {
  $("busy").hidden = !is;
  $("search").setAttribute("aria-busy", String(is));
  if (is && shown.total === undefined && !shown.problem) note(el("p", { class: "faint" }, "Searching …"));
};

const note = (...nodes) => {
  $("note").replaceChildren(...nodes);
  $("note").hidden = nodes.length === 0;
};
