
// Filters -----------------------------------------------------------------------------------------

const VALUES_SHOWN = 7;
const opened = new Set();

const toggle = (filter) => {
  const isSet = query.filters.includes(filter);
  change({ filters: isSet ? query.filters.filter((other) => other !== filter) : [...query.filters, filter] });
};

const showFacets = (facets) => {
  const groups = filtersOf(collectionOf(query.in)).map((filter) => filterGroup(filter, facets?.[filter.name]));
  // A range narrows the hits: without hits and without itself there is nothing to narrow.
  const isUseful = (group) => group.values.length > 0 || (group.range && (shown.total > 0 || group.range.isSet));
  $("filters").hidden = !groups.some(isUseful);
  reconcile($("facets"), groups.filter(isUseful), {
    key: (group) => group.key,
    make: makeGroup,
    update: showGroup,
  });
  showChips();
};

// A filter with its values, and with a range where it is one of numbers or days that are many.
const filterGroup = (filter, facet) => {
  const { name: field } = filter;
  const counts = new Map(Object.entries(isFacet(filter) && isObject(facet) ? facet : {}));
  const isNumeric = ["integer", "computed"].includes(filter.kind) && [...counts.keys()].every((value) => value !== "" && Number.isFinite(Number(value)));
  const set = query.filters.filter((text) => text.startsWith(`${field}:`)).map((text) => text.slice(field.length + 1));
  const isRanged = isRange(filter) || (isNumeric && (counts.size > VALUES_SHOWN || set.some(isRangeText)));
  for (const value of isFacet(filter) ? set : []) {
    if (!counts.has(value) && !(isRanged && isRangeText(value))) counts.set(value, 0);
  }
  const values = [...counts].map(([value, number]) => ({ field, value, label: valueLabel(filter, value), number, isSet: set.includes(value) }));
  const inOrder = (one, other) => (isNumeric ? Number(one) - Number(other) : one < other ? -1 : 1);
  values.sort((one, other) => other.isSet - one.isSet || other.number - one.number || inOrder(one.value, other.value));
  return { key: `${query.in}/${field}`, field, title: filterLabel(filter), values, range: isRanged ? { type: filter.kind === "date" ? "date" : "number", ...boundsOf(isFacet(filter) ? set.filter(isRangeText) : set) } : undefined };
};

const makeGroup = (group) => {
  const node = el("fieldset", { "data-key": group.key }, el("legend", {}, group.title), el("ul"),
    el("button", { type: "button", class: "quiet", "data-focus": "all" }), el("div", { class: "range", hidden: true }));
  node.querySelector("button").addEventListener("click", () => {
    if (!opened.delete(node.dataset.key)) opened.add(node.dataset.key);
    showValues(node, node.values);
  });
  showGroup(node, group);
  return node;
};
const showGroup = (node, group) => {
  showValues(node, group.values);
  showRange(node.querySelector(".range"), group);
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
// The ends of a filter's value: of a range, of a comparison, or the value itself.
const readRange = (value) => {
  const range = /^\[(.*) TO (.*)\]$/s.exec(value);
  const end = (text) => (text === OPEN ? "" : text.trim());
  if (range) return { from: end(range[1]), to: end(range[2]) };
  if (value.startsWith(">=")) return { from: value.slice(2).trim(), to: "" };
  if (value.startsWith("<=")) return { from: "", to: value.slice(2).trim() };
  return { from: value, to: value };
};
const boundsOf = ([text]) => (text === undefined ? { from: "", to: "", isSet: false } : { ...readRange(text), isSet: true });
const rangeLabel = (value) => {
  const { from, to } = readRange(value);
  if (from === to) return from;
  return from && to ? `${from} – ${to}` : from ? `from ${from}` : `up to ${to}`;
};
const setRange = (field, from, to) => {
  const others = query.filters.filter((filter) => !filter.startsWith(`${field}:`));
  change({ filters: from || to ? [...others, `${field}:[${from || OPEN} TO ${to || OPEN}]`] : others });
};
const makeRange = (node, group) => {
  const { type } = group.range;
  const set = () => setRange(group.field, ...[...node.querySelectorAll("input")].map((input) => input.value));
  const input = (end) => el("input", { type, step: type === "number" ? "any" : undefined, placeholder: end, "data-focus": end, "aria-label": `${group.title}, ${end}`, onchange: set });
  node.dataset.type = type;
  node.replaceChildren(input("from"), el("span", { class: "faint", "aria-hidden": "true" }, "–"), input("to"));
};
const showRange = (node, group) => {
  node.hidden = !group.range;
  if (!group.range) return;
  if (!node.hasChildNodes()) makeRange(node, group);
  const [from, to] = node.querySelectorAll("input");
  // An input that a person types in is not overwritten.
  if (document.activeElement !== from) from.value = group.range.from;
  if (document.activeElement !== to) to.value = group.range.to;
};

// The conditions of the search, each with a button that takes it away ------------------------------------

const showChips = () => {
  const collection = collectionOf(query.in);
  const chips = query.filters.map((text) => {
    const filter = filterOf(collection, text);
    const value = text.slice(filter.name.length + 1);
    return { key: text, label: filterLabel(filter), value: valueLabel(filter, value), drop: () => toggle(text) };
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
