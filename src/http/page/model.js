
// The model, as the server describes it --------------------------------------------------------------

const model = { collections: [], projections: [] };
const collectionOf = (name) => model.collections.find((collection) => collection.name === name);
const projectionOf = (name) => model.projections.find((projection) => projection.name === name);

// The shape of the documents of a projection, of its entities where they are embedded, or of nothing known.
const NO_SHAPE = { name: undefined, fields: [], embeds: [], compute: [] };
const shapeOf = (name) => projectionOf(name) ?? NO_SHAPE;
const embeddedShape = (embed) => {
  const of = shapeOf(embed.projection);
  const kind = (name) => of.fields.find((field) => field.name === name)?.kind;
  return { name: embed.projection, fields: embed.fields.map((name) => ({ name, kind: kind(name) })), embeds: embed.embeds, compute: [] };
};
const embedAt = (shape, path) => {
  const [name, ...rest] = path.split(".");
  const embed = shape.embeds.find((embed) => embed.name === name);
  return embed && rest.length > 0 ? embedAt(embed, rest.join(".")) : embed;
};
const isOfSameType = (one, other) => one !== undefined && other !== undefined && shapeOf(one).of === shapeOf(other).of;

// The kind of a document's member: a field, an embed, or a member beside an embed.
const memberOf = (shape, name) => {
  const field = shape.fields.find((field) => field.name === name);
  if (field) return { is: "field", kind: field.kind };
  for (const embed of shape.embeds) {
    if (embed.name === name) return { is: embed.by, embed };
    if (embed.count === name) return { is: "count", embed };
    if (embed.descendants === name) return { is: "number", embed };
    if (embed.truncated === name || embed.cycle === name) return { is: "flag", embed };
  }
  return { is: shape.compute.includes(name) ? "field" : name === shape.rest ? "rest" : "other" };
};

// Names of things ---------------------------------------------------------------------------------

const TITLES = ["name", "title", "label"];
// The field that names the entities of a shape.
const titleOf = (shape) => {
  const has = (name) => shape.fields.some((field) => field.name === name);
  const searched = model.collections.filter((collection) => isOfSameType(collection.name, shape.name)).map((collection) => collection.title);
  return [...searched, ...TITLES].find(has) ?? searched[0] ?? "name";
};
const fullName = (thing) => textOf(thing.name) || NAME_PARTS.map((part) => textOf(thing[part])).filter(Boolean).join(" ");
// A name, or the id of a thing that has none.
const called = (thing, shape) => textOf(thing[titleOf(shape)]) || fullName(thing) || textOf(thing.id);
const nameNodes = (thing, shape, highlights = thing.highlights) => {
  const title = titleOf(shape);
  const text = textOf(thing[title]) || textOf(thing.name);
  if (text) return bdi(withMarks(text, highlights?.[title]));
  return fullName(thing) ? bdi(fullName(thing)) : el("bdi", { class: "id" }, textOf(thing.id));
};
const cut = (text, most = 60) => {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most).join("")}…` : text;
};
// A name that leads to the document, where a projection holds one.
const entityLink = (thing, shape, attributes = {}, highlights = undefined) => {
  const nodes = nameNodes(thing, shape, highlights ?? thing.highlights);
  return shape.name === undefined ? nodes : el("a", { href: entityHash(shape.name, thing.id), ...attributes }, nodes);
};

// Labels of filters and orders --------------------------------------------------------------------

const isFacet = (filter) => ["text", "boolean", "computed", "integer"].includes(filter.kind);
const isRange = (filter) => ["number", "date"].includes(filter.kind);
// The label of a member of an embedded entity; a name that is no plural has no owner's form.
const ownedLabel = (embed, label) => {
  const { one, many } = nounOf(embed);
  if (lower(label) === one) return label;
  return one === many ? `${upper(many)}: ${lower(label)}` : `${upper(one)}’s ${lower(label)}`;
};
const filterLabel = (filter) => (filter.embed ? ownedLabel(filter.embed, labelOf(filter.name)) : labelOf(filter.name));
// A status first, then the document's own, then those of embeds, and tags last.
const filtersOf = (collection) => {
  const fields = shapeOf(collection.name).fields;
  const isTags = (filter) => fields.some((field) => field.name === filter.path && field.kind === "strings");
  const rank = (filter) => (isTags(filter) ? 3 : filter.embed ? 2 : ROLES[filter.name] === "status" ? 0 : 1);
  return [...collection.filters].sort((one, other) => rank(one) - rank(other));
};
const filterOf = (collection, text) => collection?.filters.find((filter) => text.startsWith(`${filter.name}:`));
const isRangeText = (value) => /^([<>]=?|[[{].* TO .*[\]}]$)/s.test(value);
const valueLabel = (filter, value) => {
  if (filter.kind !== "text" && isRangeText(value)) return rangeLabel(value);
  if (/(^|\.)country$/.test(filter.path)) return countryName(value);
  if (filter.kind === "boolean") return value === "true" ? "Yes" : value === "false" ? "No" : value;
  return value;
};

// The orders of hits, each with its words; the first is that without a choice.
const sortsOf = (collection) => {
  const of = (sort) => {
    const known = Object.entries(WORDS.sorts).filter(([name]) => name.replace(/^-/, "") === sort.name);
    if (known.length > 0) return known;
    const { is, embed } = memberOf(shapeOf(collection.name), sort.name);
    const label = labelOf(sort.kind === "title" ? collection.title : sort.name);
    if (sort.kind === "title") return [[sort.name, `${label}, A to Z`], [`-${sort.name}`, `${label}, Z to A`]];
    if (is === "count") return [[`-${sort.name}`, `Most ${nounOf(embed.name).many}`]];
    if (sort.kind === "date") return [[`-${sort.name}`, `${label}, newest first`], [sort.name, `${label}, oldest first`]];
    return [[`-${sort.name}`, `${label}, highest first`], [sort.name, `${label}, lowest first`]];
  };
  return [["", "Best match"], ...collection.sorts.flatMap(of)];
};

// Asking for it -----------------------------------------------------------------------------------

let described;
// Takes the description in; says whether it is another than before.
const learnModel = async () => {
  const answer = await ask("/model");
  const form = JSON.stringify(answer);
  const isOther = described !== undefined && described !== form;
  described = form;
  model.collections = list(answer.collections);
  model.projections = list(answer.projections);
  return isOther;
};
