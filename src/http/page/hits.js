
// Matched members of a hit that are shown at first, and the hits whose further ones were asked for.
const MATCHED_SHOWN = 3;
const unfolded = new Set();

// Hits --------------------------------------------------------------------------------------------

const showHits = (quiet) => {
  const isKnown = Number.isFinite(shown.total);
  const { one, many } = nounOf(query.in);
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
  const others = model.collections.filter((collection) => collection.name !== query.in).slice(0, 3).map((collection) => collection.name);
  const isNarrowed = query.filters.length > 0 || query.under;
  const all = joined(model.collections.map((collection) => nounOf(collection.name).many), "and");
  return [
    el("h3", {}, query.q ? ["Nothing matches “", bdi(query.q.slice(0, 200)), "”"] : "Nothing is here yet"),
    el("p", {}, isNarrowed ? "Nothing matches together with these filters." : query.q ? "Try fewer or other words; typos are OK." : `${upper(all)} show up here as soon as they arrive.`),
    el("p", { class: "actions" },
      isNarrowed && el("button", { type: "button", "data-focus": "wide", onclick: () => change({ filters: [], under: "" }) }, "Search without filters"),
      others.map((other) => el("button", { type: "button", "data-focus": `other/${other}`, onclick: () => change({ in: other }) }, `Search ${nounOf(other).many} instead`))),
  ];
};

// The words of a highlight's path: those of the embed for its name, and of the last part within an address.
const pathLabel = (path, shape) => {
  const [first, ...rest] = path.split(".");
  const embed = shape.embeds.find((embed) => embed.name === first);
  if (rest.length === 0) return labelOf(path);
  if (embed) return rest.join(".") === titleOf(embeddedShape(embed)) ? labelled(first) : ownedLabel(first, labelOf(rest.join(".")));
  return labelOf(rest.join("."));
};
// Fields that matched and are not shown otherwise.
const snippets = (hit, shape, told) =>
  dotted("p", "snippets", Object.entries(isObject(hit.highlights) ? hit.highlights : {})
    .filter(([path, fragments]) => !told.has(path) && list(fragments).length > 0)
    .map(([path, fragments]) => withLabel(pathLabel(path, shape),
      bdi(list(fragments).slice(0, 3).map((fragment, at) => [at > 0 && " … ", marked(fragment)])))));

const makeHit = (hit, isFresh) => {
  const collection = collectionOf(query.in);
  const shape = shapeOf(query.in);
  const heading = el("h3", {}, entityLink(hit, shape, { "data-focus": "main", "data-row": true, dir: "auto" }));
  return el("li", { class: isFresh ? "hit fresh" : "hit" }, el("article", {}, heading, hitBody(hit, collection, shape)));
};

const hitBody = (hit, collection, shape) => {
  // A path whose marks are shown has no snippet. Parts of the name are in the heading.
  const told = new Set([...NAME_PARTS, ...titleTold(hit, collection.title)]);
  const marks = (path) => {
    told.add(path);
    return hit.highlights?.[path];
  };
  const members = collection.hit.filter((name) => !list(wordOf(WORDS.quiet, collection.name)).includes(name) && name !== "name" && name !== collection.title);
  const lines = memberLines(hit, shape, members, { marks });
  if (members.some((name) => ROLES[name] === "status")) told.add("status");
  return [lines, snippets(hit, shape, told), collection.matched.map((matched) => matchedList(hit, shape, matched))];
};
const titleTold = (hit, title) => {
  const fragments = list(hit.highlights?.[title]);
  return fragments.length === 0 || fragments.some((fragment) => plain(fragment) === textOf(hit.name)) ? [title] : [];
};

// Embedded entities that match: the best ones, and the others on demand.
const matchedList = (hit, shape, matched) => {
  const embed = embedAt(shape, matched.embed);
  const found = list(hit[matched.member]).filter(isObject);
  if (!embed || found.length === 0) return undefined;
  const { many } = nounOf(embed.name);
  const rows = found.map((one) => memberRow(one, embed, matched.hit));
  const rest = rows.slice(MATCHED_SHOWN);
  const key = `${textOf(hit.id)}/${matched.embed}`;
  const isOpen = unfolded.has(key);
  rest.forEach((row) => { row.hidden = !isOpen; });
  const open = () => {
    unfolded.add(key);
    rest.forEach((row) => { row.hidden = false; });
    const first = rest[0].querySelector("a") ?? rest[0];
    first.tabIndex = 0;
    first.focus();
    button.remove();
  };
  const button = el("button", { type: "button", class: "quiet", "data-focus": `people/${matched.embed}`, onclick: open }, `+ ${rest.length} more`, el("span", { class: "unseen" }, ` ${many} that match`));
  return [el("ul", { class: "people", "aria-label": `${upper(many)} that match` }, rows), rest.length > 0 && !isOpen && button];
};

// One embedded entity as a row: its name, its members, and its addresses.
const memberRow = (one, embed, members, attributes = {}) => {
  const shape = embeddedShape(embed);
  const title = titleOf(shape);
  const isNamed = shape.name !== undefined || members.includes(title);
  const marks = (path) => one.highlights?.[path];
  const row = { "data-focus": `${embed.name}/${textOf(one.id)}`, dir: "auto", class: "who", ...attributes };
  const name = shape.name === undefined ? el("span", { class: "who", dir: "auto" }, nameNodes(one, shape)) : entityLink(one, shape, row);
  const others = members.filter((member) => member !== title && !NAME_PARTS.includes(member));
  return el("li", {}, isNamed && name, memberLines(one, shape, others, { tag: "span", marks }));
};
