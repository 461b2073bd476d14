
// Values by their kind ----------------------------------------------------------------------------

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/;

const isGiven = (value) => value !== undefined && value !== null && textOf(value) !== "" && !(Array.isArray(value) && value.length === 0);
const isScalar = (value) => typeof value !== "object" || value === null;
// The look of a value. Its own type counts more than the declared one, because a service may send anything.
const lookOf = (name, kind, value) => {
  if (typeof value === "string") {
    if (kind === "date" || (kind === undefined && (DAY.test(value) || INSTANT.test(value)))) return "date";
    return wordOf(ROLES, name) ?? "text";
  }
  if (typeof value === "number") return "number";
  if (typeof value === "boolean") return "boolean";
  if (Array.isArray(value)) return value.length < 100 && value.every(isScalar) ? "list" : "structure";
  return kind === "address" || (kind === undefined && isObject(value) && ["city", "country"].some((part) => textOf(value[part]))) ? "address" : "structure";
};

const time = (value, format) => {
  const at = new Date(textOf(value));
  if (Number.isNaN(at.getTime())) return bdi(textOf(value));
  // A day without a time is the same day everywhere.
  const zone = DAY.test(textOf(value)) ? { timeZone: "UTC" } : {};
  return el("time", { datetime: at.toISOString() }, at.toLocaleString("en-GB", { ...format, ...zone }));
};
const day = (value) => time(value, { dateStyle: "medium" });
const instant = (value) => (DAY.test(textOf(value)) ? day(value) : time(value, { dateStyle: "medium", timeStyle: "short" }));
const address = (value) => {
  if (!isObject(value)) return bdi(textOf(value));
  const { street, postcode, city, region, country, ...rest } = value;
  const lines = [textOf(street), [postcode, city].map(textOf).filter(Boolean).join(" "), textOf(region), country && countryName(textOf(country)), ...Object.values(rest).map(textOf)];
  return lines.filter(Boolean).map((line) => el("div", { dir: "auto" }, line));
};
const tags = (values) => el("ul", { class: "tags" }, values.map((value) => el("li", {}, bdi(textOf(value)))));
const structure = (value) => el("pre", { dir: "auto", tabindex: "0", "aria-label": "Structured value" }, textOf(value));

// A value on a document's page.
const valueNodes = (look, value) => {
  switch (look) {
    case "status": return status(value);
    case "email": return mail(value);
    case "phone": return phone(value);
    case "url": return outward(value);
    case "date": return instant(value);
    case "boolean": return value ? "Yes" : "No";
    case "address": return address(value);
    case "list": return tags(value);
    case "structure": return structure(value);
    default: return bdi(textOf(value));
  }
};
const withLabel = (label, ...nodes) => el("span", {}, el("span", { class: "label" }, label), " ", ...nodes);

// One part of a line, with its place in it: texts first, then numbers, counts and references. `marks` tells the highlights of a path.
const RANKS = ["status", "text", "address", "list", "boolean", "number", "date", "count", "above", "reference"];
const LIST_SHOWN = 5;
const valuePart = (name, kind, value, marks) => {
  const look = lookOf(name, kind, value);
  const part = (node, more = {}) => ({ rank: RANKS.indexOf(look), node, ...more });
  switch (look) {
    case "status": return part(status(value));
    case "email": return part(mail(value, withMarks(value, marks(name))), { isReach: true });
    case "phone": return part(phone(value, withMarks(value, marks(name))), { isReach: true });
    case "url": return part(outward(value), { isReach: true });
    case "date": return part(withLabel(labelOf(name), day(value)));
    case "boolean": return value && part(bdi(labelOf(name)));
    case "number": return part(withLabel(labelOf(name), bdi(textOf(value))));
    case "list": return part(bdi(value.slice(0, LIST_SHOWN).map((one, at) => [at > 0 && ", ", withMarks(one, marks(name))]), value.length > LIST_SHOWN && " …"));
    case "address": return part(placeNode(name, value, marks));
    case "structure": return undefined;
    default: return part(bdi(withMarks(value, marks(name))));
  }
};
const placeNode = (name, value, marks) => {
  const known = ["city", "country"].filter((part) => textOf(value[part]));
  const parts = known.length > 0 ? known : Object.keys(value).filter((part) => textOf(value[part])).slice(0, 2);
  const node = (part) => (part === "country" ? countryName(textOf(value[part])) : withMarks(value[part], marks(`${name}.${part}`)));
  return parts.length > 0 && bdi(parts.map((part, at) => [at > 0 && ", ", node(part)]));
};

// Entities that a thing refers to, by their names; the word before them where it says more than they do.
const referencePart = (embed, value, marks) => {
  const shape = embeddedShape(embed);
  const label = labelOf(embed.name);
  const isPlain = embed.projection !== undefined && lower(label) === nounOf(shapeOf(embed.projection).of).one;
  // The highlight of the name lies at the thing that refers to it.
  const highlights = { [titleOf(shape)]: marks(`${embed.name}.${titleOf(shape)}`) };
  const links = list(value).filter(isObject).slice(0, LIST_SHOWN).map((one, at) =>
    [at > 0 && ", ", entityLink(one, shape, { "data-focus": `${embed.name}/${at}` }, highlights)]);
  return links.length > 0 && { rank: RANKS.indexOf("reference"), node: el("span", {}, !isPlain && `${lower(label)} `, links) };
};
const pathNodes = (embed, value, attributes = {}) =>
  fromRoot(value).map((one, at) => [at > 0 && " › ", entityLink(one, embeddedShape(embed), attributes)]);
const fromRoot = (above) => list(above).filter(isObject).reverse();

// One member of a thing as a part of a line; nothing where it has no short form.
const memberPart = (thing, shape, name, marks) => {
  const value = thing[name];
  if (!isGiven(value)) return undefined;
  const { is, kind, embed } = memberOf(shape, name);
  if (is === "flag" || is === "rest") return undefined;
  if (is === "count" && Number.isFinite(value)) return { rank: RANKS.indexOf("count"), node: plural(value, nounOf(embed.name).one, nounOf(embed.name).many) };
  if (is === "reference") return referencePart(embed, value, marks);
  if (is === "above") return fromRoot(value).length > 0 && { rank: RANKS.indexOf("above"), node: el("span", {}, pathNodes(embed, value)) };
  if (is === "from") return { rank: RANKS.indexOf("count"), node: plural(list(value).length, nounOf(embed.name).one, nounOf(embed.name).many) };
  return valuePart(name, kind, value, marks);
};

// The members of a thing as lines: the others, then its addresses.
const memberLines = (thing, shape, members, { tag = "p", marks = () => undefined } = {}) => {
  const parts = members.map((name) => memberPart(thing, shape, name, marks)).filter(Boolean);
  const nodes = (isReach) => parts.filter((part) => Boolean(part.isReach) === isReach).sort((one, other) => one.rank - other.rank).map((part) => part.node);
  return [dotted(tag, "meta", nodes(false)), dotted(tag, "meta reach", nodes(true))];
};
