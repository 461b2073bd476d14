
// The search: its state, the hits, the filters -----------------------------------------------------

const PAGE = 20;
const WAIT_MS = 120;
const SLOW_MS = 200;
const VALUES_SHOWN = 7;
const NAMES = { organisations: ["organisation", "organisations"], contacts: ["contact", "contacts"] };
const FACETS = {
  organisations: { status: "Status", country: "Country", industry: "Industry", role: "Contact’s role", department: "Contact’s department", tag: "Tag" },
  contacts: { role: "Role", department: "Department", tag: "Tag" },
};
const LABELS = {
  name: "Name", firstName: "First name", lastName: "Last name", type: "Type", status: "Status", industry: "Industry", email: "E-mail", phone: "Phone",
  website: "Website", role: "Role", department: "Department", tags: "Tags", "organisation.name": "Organisation", "address.street": "Street",
  "address.postcode": "Postcode", "address.city": "City", "address.region": "Region", "address.country": "Country",
};
// The orders of hits; the first is that without a choice.
const SORTS = {
  "": "Best match", name: "Name, A to Z", "-name": "Name, Z to A", "-createdAt": "Newest first", createdAt: "Oldest first", "-updatedAt": "Changed last",
  "-contactCount": "Most contacts",
};
const sortsOf = (collection) => Object.keys(SORTS).filter((sort) => collection === "organisations" || sort !== "-contactCount");
// Matched contacts of a hit that are shown at first, and the hits whose further ones were asked for.
const PEOPLE_SHOWN = 3;
const unfolded = new Set();

const query = { q: "", in: "organisations", under: "", filters: [], sort: "" };
const shown = { hits: [], total: undefined, next: undefined, problem: undefined, at: -Infinity };
const names = new Map();
const opened = new Set();
let asking;
let suggesting;
let typed;

const searchHash = (of = query) => {
  const parameters = new URLSearchParams();
  if (of.q.trim()) parameters.set("q", of.q);
  if (of.in === "contacts") parameters.set("in", of.in);
  if (of.under) parameters.set("under", of.under);
  of.filters.forEach((filter) => parameters.append("filter", filter));
  if (of.sort) parameters.set("sort", of.sort);
  const text = parameters.toString();
  return text ? `#/?${text}` : "#/";
};
const readSearch = (text) => {
  const parameters = new URLSearchParams(text);
  query.q = parameters.get("q") ?? "";
  query.in = parameters.get("in") === "contacts" ? "contacts" : "organisations";
  query.under = parameters.get("under") ?? "";
  query.filters = [...new Set(parameters.getAll("filter"))].filter((filter) => Object.hasOwn(FACETS[query.in], filter.split(":")[0]));
  query.sort = parameters.get("sort") ?? "";
  fitSort();
};
// An order that the collection has, and the choice among them.
const fitSort = () => {
  const sorts = sortsOf(query.in);
  if (!sorts.includes(query.sort)) query.sort = "";
  if ($("sort").options.length !== sorts.length) $("sort").replaceChildren(...sorts.map((sort) => el("option", { value: sort }, SORTS[sort])));
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
  else parameters.set("facets", Object.keys(FACETS[query.in]).join(","));
  return `/search?${parameters}`;
};

// Asks again. `quiet`: as many hits as are shown, and nothing moves, blinks or is read out.
const search = async ({ quiet = false } = {}) => {
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

// Hits --------------------------------------------------------------------------------------------

const showHits = (quiet) => {
  const isKnown = Number.isFinite(shown.total);
  const [one, many] = NAMES[query.in];
  $("count").textContent = isKnown ? plural(shown.total, one, many) : "Results";
  $("order").hidden = !(shown.total > 1);
  if (shown.problem) $("took").textContent = "";
  reconcile($("hits"), shown.hits, {
    key: (hit) => `${query.in}/${textOf(hit.id)}`,
    shape: (hit) => JSON.stringify({ ...hit, score: undefined }),
    make: (hit, old) => makeHit(hit, quiet && (old || $("hits").children.length > 0)),
  });
  $("more").hidden = !shown.next;
  showLanding();
  if (shown.problem) {
    note(...problemNote(shown.problem, () => search()));
    say(`${textOf(shown.problem.title)}. ${shown.problem.message}`);
  } else if (isKnown && shown.hits.length === 0) {
    note(...nothing());
  } else {
    note();
  }
  if (!quiet && isKnown) say(shown.total === 0 ? "Nothing matches" : `${plural(shown.total, one, many)} found`);
};

const nothing = () => {
  const other = query.in === "contacts" ? "organisations" : "contacts";
  const isNarrowed = query.filters.length > 0 || query.under;
  return [
    el("h3", {}, query.q ? ["Nothing matches “", bdi(query.q.slice(0, 200)), "”"] : "Nothing is here yet"),
    el("p", {}, isNarrowed ? "Nothing matches together with these filters." : query.q ? "Try fewer or other words; typos are OK." : "Organisations and contacts show up here as soon as they arrive."),
    el("p", { class: "actions" },
      isNarrowed && el("button", { type: "button", "data-focus": "wide", onclick: () => change({ filters: [], under: "" }) }, "Search without filters"),
      el("button", { type: "button", "data-focus": "other", onclick: () => change({ in: other }) }, `Search ${other} instead`)),
  ];
};

// Fields that matched and are not shown otherwise.
const snippets = (hit, told) =>
  dotted("p", "snippets", Object.entries(isObject(hit.highlights) ? hit.highlights : {})
    .filter(([field, fragments]) => !told.includes(field) && list(fragments).length > 0)
    .map(([field, fragments]) => el("span", {},
      el("span", { class: "label" }, LABELS[field] ?? labelled(field)), " ",
      bdi(list(fragments).slice(0, 3).map((fragment, at) => [at > 0 && " … ", marked(fragment)])))));

const nameSnippet = (hit) => {
  const isWhole = list(hit.highlights?.name).some((fragment) => plain(fragment) === textOf(hit.name));
  return isWhole || !hit.highlights?.name ? ["name"] : [];
};

const makeHit = (hit, isFresh) => {
  const heading = el("h3", {}, entityLink(query.in, hit, { "data-focus": "main", "data-row": true, dir: "auto" }));
  const body = query.in === "contacts" ? contactBody(hit) : organisationBody(hit);
  return el("li", { class: isFresh ? "hit fresh" : "hit" }, el("article", {}, heading, body));
};

const roleOf = (thing) => ["role", "department"].map((field) => textOf(thing[field]) && bdi(withMarks(thing, field)));
const reachOf = (thing) => [
  textOf(thing.email) && mail(thing.email, withMarks(thing, "email")),
  textOf(thing.phone) && phone(thing.phone, withMarks(thing, "phone")),
];

const contactBody = (hit) => {
  // The highlight of the organisation's name lies at the hit; the name is shown as a link.
  const employer = isObject(hit.organisation) && { ...hit.organisation, highlights: { name: hit.highlights?.["organisation.name"] } };
  return [
    dotted("p", "meta", [...roleOf(hit), employer && entityLink("organisations", employer, { "data-focus": "organisation" })]),
    dotted("p", "meta reach", reachOf(hit)),
    // First and last name are parts of the name, which is the heading.
    snippets(hit, [...nameSnippet(hit), "firstName", "lastName", "role", "department", "email", "phone", "organisation.name"]),
  ];
};

const organisationBody = (hit) => {
  const place = isObject(hit.address) ? hit.address : {};
  const where = ["city", "country"].filter((field) => textOf(place[field]));
  const marks = { city: hit.highlights?.["address.city"] };
  const matching = list(hit.matchedContacts).filter(isObject);
  return [
    dotted("p", "meta", [status(hit.status), textOf(hit.industry) && bdi(withMarks(hit, "industry")),
      where.length > 0 && bdi(where.map((field, at) => [at > 0 && ", ", field === "country" ? countryName(textOf(place.country)) : withMarks({ ...place, highlights: marks }, "city")])),
      Number.isFinite(hit.contactCount) && plural(hit.contactCount, "contact", "contacts"),
      isObject(hit.parent) && el("span", {}, "part of ", entityLink("organisations", hit.parent, { "data-focus": "parent" }))]),
    snippets(hit, [...nameSnippet(hit), "status", "industry", "address.city", "address.country"]),
    matching.length > 0 && people(textOf(hit.id), matching),
  ];
};

// The contacts that match: the best ones, and the others on demand.
const people = (id, matching) => {
  const rows = matching.map(matched);
  const rest = rows.slice(PEOPLE_SHOWN);
  const isOpen = unfolded.has(id);
  rest.forEach((row) => { row.hidden = !isOpen; });
  const open = () => {
    unfolded.add(id);
    rest.forEach((row) => { row.hidden = false; });
    rest[0].querySelector("a")?.focus();
    button.remove();
  };
  const button = el("button", { type: "button", class: "quiet", "data-focus": "people", onclick: open }, `+ ${rest.length} more`, el("span", { class: "unseen" }, " contacts that match"));
  return [el("ul", { class: "people", "aria-label": "Contacts that match" }, rows), rest.length > 0 && !isOpen && button];
};

const matched = (contact) =>
  el("li", {}, entityLink("contacts", contact, { "data-focus": `contact/${textOf(contact.id)}`, dir: "auto", class: "who" }),
    dotted("span", "meta", roleOf(contact)), dotted("span", "meta reach", reachOf(contact)));

// Filters -----------------------------------------------------------------------------------------

const toggle = (filter) => {
  const isSet = query.filters.includes(filter);
  change({ filters: isSet ? query.filters.filter((other) => other !== filter) : [...query.filters, filter] });
};

const showFacets = (facets) => {
  const groups = Object.entries(FACETS[query.in]).map(([field, title]) => {
    const counts = new Map(Object.entries(isObject(facets?.[field]) ? facets[field] : {}));
    for (const filter of query.filters) {
      const value = filter.slice(field.length + 1);
      if (filter.startsWith(`${field}:`) && !counts.has(value)) counts.set(value, 0);
    }
    const values = [...counts].map(([value, number]) => ({ field, value, number, isSet: query.filters.includes(`${field}:${value}`) }));
    values.sort((a, b) => b.isSet - a.isSet || b.number - a.number || (a.value < b.value ? -1 : 1));
    return { field, title, values };
  });
  $("filters").hidden = groups.every((group) => group.values.length === 0);
  reconcile($("facets"), groups.filter((group) => group.values.length > 0), {
    key: (group) => group.field,
    make: (group) => {
      const node = el("fieldset", {}, el("legend", {}, group.title), el("ul"), el("button", { type: "button", class: "quiet", "data-focus": "all" }));
      node.lastChild.addEventListener("click", () => {
        if (!opened.delete(group.field)) opened.add(group.field);
        showValues(node, node.values);
      });
      showValues(node, group.values);
      return node;
    },
    update: (node, group) => showValues(node, group.values),
  });
  showChips();
};

const showValues = (node, values) => {
  node.values = values;
  const field = node.dataset.key ?? values[0]?.field;
  const isOpen = opened.has(field);
  const button = node.querySelector("button");
  button.hidden = values.length <= VALUES_SHOWN;
  button.textContent = isOpen ? "Show fewer" : `Show all ${values.length}`;
  button.setAttribute("aria-expanded", String(isOpen));
  reconcile(node.querySelector("ul"), isOpen ? values : values.slice(0, VALUES_SHOWN), {
    key: (value) => value.value,
    make: (value) => {
      const input = el("input", { type: "checkbox", "data-focus": "value", onchange: () => toggle(`${value.field}:${value.value}`) });
      input.checked = value.isSet;
      const label = value.field === "country" ? countryName(value.value) : value.value;
      return el("li", {}, el("label", {}, input, el("bdi", { class: "value" }, label || "(empty)"), " ", el("span", { class: "number" }, count(value.number))));
    },
    update: (item, value) => {
      item.querySelector("input").checked = value.isSet;
      item.querySelector(".number").textContent = count(value.number);
    },
  });
};

// What narrows the search, each with a button that takes it away.
const showChips = () => {
  const chips = query.filters.map((filter) => {
    const [field, ...rest] = filter.split(":");
    const value = rest.join(":");
    return { key: filter, label: FACETS[query.in][field], value: field === "country" ? countryName(value) : value, drop: () => toggle(filter) };
  });
  if (query.under) chips.unshift({ key: "under", label: "Within", value: names.get(query.under) ?? query.under, drop: () => change({ under: "" }) });
  reconcile($("narrowed"), chips, {
    key: (chip) => chip.key,
    make: (chip) => el("button", { type: "button", class: "chip", "data-focus": "drop", "aria-label": `Remove: ${chip.label} ${chip.value.slice(0, 80)}`, onclick: chip.drop },
      el("span", { class: "label" }, chip.label), " ", el("bdi", { class: "value" }, chip.value), el("span", { class: "cross", "aria-hidden": "true" }, "×")),
  });
  $("narrowed").hidden = chips.length === 0;
  $("chosen").hidden = query.filters.length === 0;
  $("chosen").textContent = query.filters.length;
  if (query.under && !names.has(query.under)) learnName(query.under);
};

const learnName = async (id) => {
  names.set(id, id);
  try {
    names.set(id, called(await ask(`/organisations/${encode(id)}`)));
    showChips();
  } catch { /* the id has to do */ }
};

// Suggestions -------------------------------------------------------------------------------------

const suggest = async () => {
  suggesting?.abort();
  const mine = new AbortController();
  suggesting = mine;
  let found = [];
  try {
    if (query.q.trim()) found = list((await ask(`/suggest?q=${encode(query.q)}`, mine.signal)).suggestions);
  } catch { /* the hits are what counts */ }
  if (suggesting !== mine) return;
  const usable = found.filter((one) => isObject(one) && Object.hasOwn(NAMES, one.in) && textOf(one.id)).slice(0, 6);
  reconcile($("suggestions").querySelector("ul"), usable, {
    key: (one) => `${one.in}/${textOf(one.id)}`,
    make: (one) => el("li", {}, el("a", { href: entityHash(one.in, one.id), "data-focus": "main", "data-in": one.in },
      bdi(textOf(one.text) || textOf(one.id)), textOf(one.detail) && [" ", el("bdi", { class: "faint" }, textOf(one.detail))], el("span", { class: "unseen" }, `, ${NAMES[one.in][0]}`))),
  });
  $("suggestions").hidden = usable.length === 0;
};
