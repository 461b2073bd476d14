
// Filters -----------------------------------------------------------------------------------------

const VALUES_SHOWN = 7;
const opened = new Set();

const toggle = (filter) => {
  const isSet = query.filters.includes(filter);
  change({ filters: isSet ? query.filters.filter((other) => other !== filter) : [...query.filters, filter] });
};

const showFacets = (facets) => {
  const groups = filtersOf(collectionOf(query.in)).filter((filter) => isFacet(filter) || isRange(filter)).map((filter) => {
    const { name: field } = filter;
    const counts = new Map(Object.entries(isFacet(filter) && isObject(facets?.[field]) ? facets[field] : {}));
    for (const text of query.filters) {
      const value = text.slice(field.length + 1);
      if (isFacet(filter) && text.startsWith(`${field}:`) && !counts.has(value)) counts.set(value, 0);
    }
    const values = [...counts].map(([value, number]) => ({ field, value, label: valueLabel(filter, value), number, isSet: query.filters.includes(`${field}:${value}`) }));
    values.sort((a, b) => b.isSet - a.isSet || b.number - a.number || (a.value < b.value ? -1 : 1));
    return { key: `${query.in}/${field}`, field, title: filterLabel(filter), values, range: isRange(filter) ? { kind: filter.kind, ...boundsOf(field) } : undefined };
  });
  // A range narrows what is there: without hits and without itself there is nothing to narrow.
  const isUseful = (group) => group.values.length > 0 || (group.range && (shown.total > 0 || group.range.isSet));
  $("filters").hidden = !groups.some(isUseful);
  reconcile($("facets"), groups.filter(isUseful), {
    key: (group) => group.key,
    make: (group) => (group.range ? makeRange(group) : makeFacet(group)),
    update: (node, group) => (group.range ? showRange(node, group) : showValues(node, group.values)),
  });
  showChips();
};

const makeFacet = (group) => {
  const node = el("fieldset", { "data-key": group.key }, el("legend", {}, group.title), el("ul"), el("button", { type: "button", class: "quiet", "data-focus": "all" }));
  node.lastChild.addEventListener("click", () => {
    if (!opened.delete(node.dataset.key)) opened.add(node.dataset.key);
    showValues(node, node.values);
  });
  showValues(node, group.values);
  return node;
};

const showValues = (node, values) => {
  node.values = values;
  const isOpen = opened.has(node.dataset.key);
  const button = node.querySelector("button");
  button.hidden = values.length <= VALUES_SHOWN;
  button.textContent = isOpen ? "Show fewer" : `Show all ${values.length}`;
  button.setAttribute("aria-expanded", String(isOpen));
  reconcile(node.querySelector("ul"), isOpen ? values : values.slice(0, VALUES_SHOWN), {
    key: (value) => value.value,
    make: (value) => {
      const input = el("input", { type: "checkbox", "data-focus": "value", onchange: () => toggle(`${value.field}:${value.value}`) });
      input.checked = value.isSet;
      return el("li", {}, el("label", {}, input, el("bdi", { class: "value" }, value.label || "(empty)"), " ", el("span", { class: "number" }, count(value.number))));
    },
    update: (item, value) => {
      item.querySelector("input").checked = value.isSet;
      item.querySelector(".number").textContent = count(value.number);
    },
  });
};

// A range of numbers or days ------------------------------------------------------------------------

const OPEN = "*";
// The ends of what a filter's value says: a range, a comparison, or the value itself.
const readRange = (value) => {
  const range = /^\[(.*) TO (.*)\]$/s.exec(value);
  const end = (text) => (text === OPEN ? "" : text.trim());
  if (range) return { from: end(range[1]), to: end(range[2]) };
  if (value.startsWith(">=")) return { from: value.slice(2).trim(), to: "" };
  if (value.startsWith("<=")) return { from: "", to: value.slice(2).trim() };
  return { from: value, to: value };
};
const boundsOf = (field) => {
  const text = query.filters.find((filter) => filter.startsWith(`${field}:`));
  return { ...(text === undefined ? { from: "", to: "" } : readRange(text.slice(field.length + 1))), isSet: text !== undefined };
};
const rangeLabel = (value) => {
  const { from, to } = readRange(value);
  if (from === to) return from;
  return from && to ? `${from} – ${to}` : from ? `from ${from}` : `up to ${to}`;
};
const setRange = (field, from, to) => {
  const others = query.filters.filter((filter) => !filter.startsWith(`${field}:`));
  change({ filters: from || to ? [...others, `${field}:[${from || OPEN} TO ${to || OPEN}]`] : others });
};
const makeRange = (group) => {
  const type = group.range.kind === "date" ? "date" : "number";
  const set = () => setRange(group.field, ...[...node.querySelectorAll("input")].map((input) => input.value));
  const input = (end) => el("input", { type, step: type === "number" ? "any" : undefined, placeholder: end, "data-focus": end, "aria-label": `${group.title}, ${end}`, onchange: set });
  const node = el("fieldset", { class: "range", "data-kind": group.range.kind }, el("legend", {}, group.title), el("div", {}, input("from"), el("span", { class: "faint", "aria-hidden": "true" }, "–"), input("to")));
  showRange(node, group);
  return node;
};
const showRange = (node, group) => {
  const [from, to] = node.querySelectorAll("input");
  // What is being typed is not overwritten.
  if (document.activeElement !== from) from.value = group.range.from;
  if (document.activeElement !== to) to.value = group.range.to;
};

// What narrows the search, each with a button that takes it away ------------------------------------

const showChips = () => {
  const collection = collectionOf(query.in);
  const chips = query.filters.map((text) => {
    const filter = filterOf(collection, text);
    const value = text.slice(filter.name.length + 1);
    return { key: text, label: filterLabel(filter), value: isRange(filter) ? rangeLabel(value) : valueLabel(filter, value), drop: () => toggle(text) };
  });
  const key = `${collection?.under}/${query.under}`;
  if (query.under) chips.unshift({ key: "under", label: "Within", value: names.get(key) ?? query.under, drop: () => change({ under: "" }) });
  reconcile($("narrowed"), chips, {
    key: (chip) => chip.key,
    make: (chip) => el("button", { type: "button", class: "chip", "data-focus": "drop", "aria-label": `Remove: ${chip.label} ${chip.value.slice(0, 80)}`, onclick: chip.drop },
      el("span", { class: "label" }, chip.label), " ", el("bdi", { class: "value" }, chip.value), el("span", { class: "cross", "aria-hidden": "true" }, "×")),
  });
  $("narrowed").hidden = chips.length === 0;
  $("chosen").hidden = query.filters.length === 0;
  $("chosen").textContent = query.filters.length;
  if (query.under && !names.has(key)) learnName(collection.under, query.under);
};

const learnName = async (projection, id) => {
  const key = `${projection}/${id}`;
  names.set(key, id);
  try {
    names.set(key, called(await ask(`/${encode(projection)}/${encode(id)}`), shapeOf(projection)));
    showChips();
  } catch { /* the id has to do */ }
};
