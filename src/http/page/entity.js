
// One document ----------------------------------------------------------------------

const entity = { projection: undefined, id: undefined, form: undefined, pages: new Map(), asking: undefined, at: -Infinity };

// The answer to a second question, or nothing, because the other parts are shown without it.
const orNothing = async (question) => {
  try {
    return await question;
  } catch (problem) {
    if (problem instanceof Problem && !isAway(problem)) return undefined;
    throw problem;
  }
};

// Other projections of the same entities that have embeds which this one lacks.
const siblingsOf = (shape) => {
  const lacks = (embed) => !shape.embeds.some((own) => own.name === embed.name);
  return model.projections.filter((other) => other !== shape && other.of === shape.of && other.embeds.some(lacks));
};
// A projection that shows the ancestors of this one's entities: the smallest, because the others are not read.
const aboveOf = (name) => {
  const has = (other) => isOfSameType(other.name, name) && other.embeds.some((embed) => embed.by === "above" && embed.fields.length > 0);
  return model.projections.filter(has).sort((one, other) => one.fields.length - other.fields.length)[0];
};
// The reference of a thing that is in a tree, and the embed of its ancestors.
const treeReference = (shape) => {
  for (const embed of shape.embeds.filter((embed) => embed.by === "reference")) {
    const inner = embed.embeds.find((inner) => inner.by === "above");
    if (inner) return { embed, inner };
  }
  return undefined;
};

// A document, the embeds that its siblings add, and the entities above the one that it belongs to.
const load = async (shape, id, signal) => {
  const document = (name, id) => ask(`/${encode(name)}/${encode(id)}`, signal);
  const siblings = siblingsOf(shape);
  const [own, ...further] = await Promise.all([document(shape.name, id), ...siblings.map((other) => orNothing(document(other.name, id)))]);
  const tree = treeReference(shape);
  const owner = tree && own[tree.embed.name];
  // Ids alone have no names: a document of the owner has.
  const aboveShape = isObject(owner) && tree.inner.fields.length === 0 ? aboveOf(tree.embed.projection) : undefined;
  const above = aboveShape && (await orNothing(document(aboveShape.name, textOf(owner.id))));
  return { own, further: siblings.map((other, at) => ({ shape: other, thing: further[at] })).filter((one) => one.thing), above, aboveShape };
};

// Shows one; `quiet`: only when something changed, and with focus, scroll and pages as they are.
const showEntity = async (projection, id, { quiet = false } = {}) => {
  if (quiet && entity.asking) return;
  entity.asking?.abort();
  const mine = new AbortController();
  const isOther = entity.projection !== projection || entity.id !== id;
  Object.assign(entity, { projection, id, asking: mine });
  if (isOther) {
    entity.form = undefined;
    entity.pages.clear();
    $("entity").replaceChildren(el("h1", { tabindex: "-1", class: "id" }, bdi(id)));
  }
  const shape = shapeOf(projection);
  const slow = quiet ? undefined : setTimeout(() => { $("busy").hidden = false; }, SLOW_MS);
  try {
    const found = await load(shape, id, mine.signal);
    if (entity.asking !== mine) return;
    const form = JSON.stringify(found);
    entity.at = performance.now();
    if (form !== entity.form) {
      entity.form = form;
      const within = withinOf(shape);
      if (within) names.set(`${within.under}/${id}`, called(found.own, shape));
      draw(documentNodes(found, shape), quiet);
      title(called(found.own, shape));
    }
  } catch (problem) {
    if (entity.asking !== mine || mine.signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    if (entity.form === problem.message || (isAway(problem) && entity.form)) return;
    entity.form = problem.message;
    const isGoneNow = problem.code === 404;
    draw([
      crumbs([]),
      el("h1", { tabindex: "-1", class: "id" }, bdi(id)),
      el("div", { class: "note" }, isGoneNow
        ? [el("h3", {}, `There is no such ${nounOf(shape.of).one}`), el("p", { dir: "auto" }, problem.message), el("p", {}, "As soon as it arrives, it shows up here.")]
        : problemNote(problem, () => { entity.form = undefined; showEntity(projection, id); })),
    ], quiet);
  } finally {
    clearTimeout(slow);
    if (entity.asking === mine) {
      entity.asking = undefined;
      $("busy").hidden = true;
    }
  }
};

// An address that names nothing here.
const showUnknown = (hash) => {
  entity.asking?.abort();
  Object.assign(entity, { projection: undefined, id: undefined, form: undefined, asking: undefined });
  draw([
    crumbs([]),
    el("h1", { tabindex: "-1" }, "There is no such page"),
    el("div", { class: "note" },
      el("p", {}, "The address ends with ", el("code", {}, bdi(`#${hash}`.slice(0, 200))), `, which names no ${joined(["search", ...model.collections.slice(0, 3).map((collection) => nounOf(collection.name).one)], "or")}.`),
      el("p", { class: "actions" }, el("a", { class: "button", href: "#/", "data-focus": "home" }, "Go to the search"))),
  ], false);
  title("No such page");
};

const draw = (nodes, quiet) => {
  const box = $("entity");
  const held = focusIn(box);
  const wasHeading = held?.active.tagName === "H1";
  box.replaceChildren(...nodes.flat(3).filter(Boolean));
  if (wasHeading || (!quiet && document.activeElement === document.body)) box.querySelector("h1")?.focus({ preventScroll: quiet });
  else focusAgain(box, held);
};

// Above, from the root down; the way back to the search first.
const crumbs = (above) =>
  el("nav", { class: "crumbs", "aria-label": "Path" }, el("ol", {},
    el("li", { "data-key": "search" }, el("a", { href: searchHash(), "data-focus": "search" }, "Search")),
    above.map(({ thing, shape }, at) => el("li", { "data-key": textOf(thing.id) }, entityLink(thing, shape, {
      "data-focus": "crumb", "data-parent": at === above.length - 1, "aria-keyshortcuts": at === above.length - 1 ? "Alt+ArrowUp" : undefined })))));

// The entities above a document: its own tree, else its parent, else the tree of an entity that it refers to.
const pathOf = ({ own, above, aboveShape }, shape) => {
  const of = (embed, value) => fromRoot(value).map((thing) => ({ thing, shape: embeddedShape(embed) }));
  const tree = shape.embeds.find((embed) => embed.by === "above");
  if (tree) {
    const found = of(tree, own[tree.name]);
    const parent = shape.embeds.find((embed) => embed.by === "reference" && isOfSameType(embed.projection, shape.name));
    return found.length === 0 && parent && isObject(own[parent.name]) ? of(parent, [own[parent.name]]) : found;
  }
  const reference = treeReference(shape);
  const owner = reference && own[reference.embed.name];
  if (!isObject(owner)) return [];
  const known = aboveShape?.embeds.find((embed) => embed.by === "above");
  const higher = known ? of(known, above?.[known.name]) : of(reference.inner, owner[reference.inner.name]);
  return [...higher, ...of(reference.embed, [owner])];
};

const heading = (thing, shape) => {
  const name = called(thing, shape);
  const kind = upper(nounOf(shape.of).one);
  return el("div", { class: "heading" },
    el("p", { class: "kind" }, textOf(thing.type) ? [`${kind} · `, bdi(textOf(thing.type))] : kind),
    el("h1", { tabindex: "-1", dir: "auto", class: name.length > 120 ? "long" : undefined }, nameNodes(thing, shape)));
};

// The first collection that searches below entities of this type.
const withinOf = (shape) => model.collections.find((collection) => isOfSameType(collection.under, shape.name));

const documentNodes = (found, shape) => {
  const { own, further } = found;
  const { one, many } = nounOf(shape.of);
  const within = withinOf(shape);
  const hasCycle = shape.embeds.some((embed) => embed.cycle && own[embed.cycle]);
  const lists = [{ shape, thing: own }, ...further].flatMap(({ shape: of, thing }) => embeddedLists(of, thing, shape));
  const [aside, beside] = [lists.filter((list) => list.isBelow), lists.filter((list) => !list.isBelow)];
  const main = [details(own, shape), beside.map((list) => list.node)];
  return [
    crumbs(pathOf(found, shape)),
    heading(own, shape),
    own.stub && el("p", { class: "hint" }, `Others refer to this ${one}, but nothing is known of it yet.`),
    hasCycle && el("p", { class: "hint" }, `Its parent ${many} form a loop, so the path ends here.`),
    within && el("p", { class: "actions" }, el("a", { class: "button", "data-focus": "below", href: searchHash({ q: "", in: within.name, under: textOf(own.id), filters: [] }) }, ["Search within ", brief(own, shape)])),
    aside.length === 0 ? main : el("div", { class: "split" }, el("div", {}, main), el("div", {}, aside.map((list) => list.node))),
  ];
};
// A name in a sentence: cut where it is very long.
const brief = (thing, shape) => bdi(cut(called(thing, shape)));
