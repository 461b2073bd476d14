
// Long lists --------------------------------------------------------------------------------------

const ROWS = 50;

// A list in pages; which page is kept while the same thing is shown.
const paged = (name, look, label, items, make) => {
  const box = el("div", { class: "paged" });
  const last = Math.max(0, Math.ceil(items.length / ROWS) - 1);
  const go = (page) => {
    entity.pages.set(name, Math.max(0, Math.min(page, last)));
    drawPage();
    box.querySelector("[data-row]")?.focus({ preventScroll: true });
    box.scrollIntoView({ block: "nearest" });
    say(range());
  };
  const at = () => Math.min(entity.pages.get(name) ?? 0, last);
  const range = () => `${numbers.format(at() * ROWS + 1)}–${numbers.format(Math.min(items.length, (at() + 1) * ROWS))} of ${numbers.format(items.length)}`;
  const drawPage = () => box.replaceChildren(
    el("ul", { class: look, "aria-label": label }, items.slice(at() * ROWS, (at() + 1) * ROWS).map((item) => {
      const node = make(item);
      node.dataset.key = `${name}/${textOf(item.id)}`;
      return node;
    })),
    ...(last === 0 ? [] : [el("div", { class: "pager", "data-key": `${name}-pager` },
      el("button", { type: "button", "data-focus": "previous", disabled: at() === 0, "aria-label": `Previous ${label.toLowerCase()}`, onclick: () => go(at() - 1) }, "‹ Previous"),
      el("span", { class: "faint" }, range()),
      el("button", { type: "button", "data-focus": "next", disabled: at() === last, "aria-label": `Next ${label.toLowerCase()}`, onclick: () => go(at() + 1) }, "Next ›"))]));
  drawPage();
  return box;
};

// The embeds of a document that other entities fill, each as a list; those of its own type are below it in the tree.
const embeddedLists = (shape, thing, shown) => {
  const isOwn = shape === shown;
  const lacks = (embed) => isOwn || !shown.embeds.some((own) => own.name === embed.name);
  return shape.embeds.filter((embed) => embed.by === "from" && lacks(embed))
    .map((embed) => ({ isBelow: isOfSameType(embed.projection, shown.name), node: embeddedList(shape, thing, embed) }));
};

const embeddedList = (shape, thing, embed) => {
  const items = list(thing[embed.name]).filter(isObject);
  const total = Number.isFinite(thing[embed.count]) ? thing[embed.count] : items.length;
  const isBelow = isOfSameType(embed.projection, shape.name);
  const id = `embed-${shape.embeds.indexOf(embed)}-of-${model.projections.indexOf(shape)}`;
  const label = labelOf(embed.name, shape.name);
  const below = embed.descendants && Number.isFinite(thing[embed.descendants]) ? thing[embed.descendants] : 0;
  return el("section", { class: isBelow ? "below" : undefined, "aria-labelledby": id },
    el("h2", { id }, `${label} `, el("span", { class: "badge" }, numbers.format(total))),
    total === 0 && el("p", { class: "faint" }, "None."),
    below > total && el("p", { class: "faint" }, `${numbers.format(below)} in total, with their own ${lower(label)}.`),
    items.length > 0 && embeddedRows(embed, shape, label, items),
    (thing[embed.truncated] || total > items.length) && el("p", { class: "hint" }, `The first ${numbers.format(items.length)} of ${numbers.format(total)}${elsewhere(embed, shape)}.`));
};
// Where those are found that are not embedded.
const elsewhere = (embed, shape) => {
  if (isOfSameType(embed.projection, shape.name) && withinOf(shape)) return "; “Search within …” finds the others";
  return model.collections.some((collection) => isOfSameType(collection.name, embed.projection)) ? "; the search finds the others" : "";
};

// The members that a row shows of an embedded entity: those that a hit shows, else all that are embedded.
const membersOf = (embed, within) => {
  const matched = collectionOf(within.name)?.matched.find((matched) => matched.embed === embed.name);
  return matched?.hit ?? [...embed.fields, ...embed.embeds.map((inner) => inner.name)];
};
// Names alone make a narrow list, names with more make rows.
const embeddedRows = (embed, within, label, items) => {
  const shape = embeddedShape(embed);
  const title = titleOf(shape);
  const members = membersOf(embed, within);
  const link = { "data-focus": "main", "data-row": true };
  if (members.every((name) => name === title)) {
    return paged(embed.name, "children", label, items, (item) => el("li", {}, entityLink(item, shape, { ...link, dir: "auto" })));
  }
  return paged(embed.name, "people", label, items, (item) => memberRow(item, embed, members, link));
};
