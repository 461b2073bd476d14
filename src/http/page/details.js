
// The details of a document -----------------------------------------------------------------------

// Members that are shown elsewhere on the page.
const TOLD = ["id", "type", "stub", "highlights"];
const DETAIL_RANKS = ["status", "text", "boolean", "number", "reference", "above", "url", "email", "phone", "address", "list", "date", "structure"];

const detailNodes = (thing, shape, name) => {
  const value = thing[name];
  const { is, kind, embed } = memberOf(shape, name);
  if (is === "reference") {
    const nodes = list(value).filter(isObject).map((one) => el("div", {}, referenceNodes(one, embed)));
    return { rank: "reference", nodes: nodes.length > 0 ? nodes : undefined };
  }
  const look = lookOf(name, kind, value);
  return { rank: look, nodes: valueNodes(look, value) };
};
// A reference with the path to it, where it is in a tree, and with the other members that are shown of it.
const referenceNodes = (one, embed) => {
  const inner = embed.embeds.find((inner) => inner.by === "above" && inner.fields.length > 0);
  const path = inner ? pathNodes(inner, one[inner.name]) : [];
  const shape = embeddedShape(embed);
  const others = [...embed.fields, ...embed.embeds.filter((other) => other.by !== "above").map((other) => other.name)];
  const isTold = (name) => name === titleOf(shape) || NAME_PARTS.includes(name);
  const lines = memberLines(one, shape, others.filter((name) => !isTold(name)), { tag: "div" });
  return [path, path.length > 0 && " › ", entityLink(one, shape, { "data-focus": `detail/${embed.name}` }), lines];
};

const details = (own, shape) => {
  const row = (label, nodes) => nodes && el("div", {}, el("dt", {}, bdi(label)), el("dd", { dir: "auto" }, nodes));
  const isElsewhere = (name) => ["above", "from", "flag", "count", "rest"].includes(memberOf(shape, name).is) || shape.embeds.some((embed) => embed.descendants === name);
  const title = titleOf(shape);
  const named = isGiven(own[title]) ? [title] : ["name"];
  const isTold = (name) => [...TOLD, ...named, ...(title === "name" ? NAME_PARTS : [])].includes(name) || name.startsWith("_") || isElsewhere(name);
  // The model's order, then the other members.
  const known = [...shape.fields.map((field) => field.name), ...shape.embeds.map((embed) => embed.name), ...shape.compute];
  const members = [...new Set([...known, ...Object.keys(own)])].filter((name) => Object.hasOwn(own, name) && !isTold(name) && isGiven(own[name]));
  const rows = members.map((name) => ({ name, isKnown: known.includes(name), ...detailNodes(own, shape, name) }));
  const rank = (one) => (one.isKnown ? DETAIL_RANKS.indexOf(one.rank) : DETAIL_RANKS.length);
  rows.sort((one, other) => rank(one) - rank(other));
  const rest = isObject(own[shape.rest]) ? Object.entries(own[shape.rest]).filter(([, value]) => isGiven(value)) : [];
  return el("section", { "aria-labelledby": "details-title" },
    el("h2", { id: "details-title" }, "Details"),
    el("dl", { class: "details" },
      rows.map(({ name, nodes }) => row(labelOf(name, shape.name), nodes)),
      rest.map(([name, value]) => row(labelOf(name), valueNodes(lookOf(name, undefined, value), value))),
      isGiven(own.id) && row("Id", el("code", {}, textOf(own.id)))));
};
