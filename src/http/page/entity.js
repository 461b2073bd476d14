
// One organisation or contact ----------------------------------------------------------------------

const ROWS = 50;
const TOLD = ["id", "name", "firstName", "lastName", "type", "status", "industry", "role", "department", "website", "email", "phone", "address",
  "tags", "createdAt", "updatedAt", "attributes", "parent", "ancestors", "organisation", "contacts", "contactCount",
  "contactsTruncated", "hierarchyCycle", "stub", "highlights"];

const entity = { collection: undefined, id: undefined, form: undefined, pages: new Map(), asking: undefined, at: -Infinity };

// What a second question answers, or nothing where it has none: a part that lacks is no reason to show none.
const orNothing = async (question) => {
  try {
    return await question;
  } catch (problem) {
    if (problem instanceof Problem && !isAway(problem)) return undefined;
    throw problem;
  }
};

const load = async (collection, id, signal) => {
  const path = `/${collection}/${encode(id)}`;
  if (collection === "organisations") {
    const [own, below] = await Promise.all([ask(path, signal), orNothing(ask(`${path}/children`, signal))]);
    return { own, below };
  }
  const own = await ask(path, signal);
  const above = isObject(own.organisation) ? await orNothing(ask(`/organisations/${encode(textOf(own.organisation.id))}/ancestors`, signal)) : undefined;
  return { own, above };
};

// Shows one; `quiet`: only when something changed, and with focus, scroll and pages as they are.
const showEntity = async (collection, id, { quiet = false } = {}) => {
  if (quiet && entity.asking) return;
  entity.asking?.abort();
  const mine = new AbortController();
  const isOther = entity.collection !== collection || entity.id !== id;
  Object.assign(entity, { collection, id, asking: mine });
  if (isOther) {
    entity.form = undefined;
    entity.pages.clear();
    $("entity").replaceChildren(el("h1", { tabindex: "-1", class: "id" }, bdi(id)));
  }
  const slow = quiet ? undefined : setTimeout(() => { $("busy").hidden = false; }, SLOW_MS);
  try {
    const found = await load(collection, id, mine.signal);
    if (entity.asking !== mine) return;
    const form = JSON.stringify(found);
    entity.at = performance.now();
    if (form !== entity.form) {
      entity.form = form;
      if (collection === "organisations") names.set(id, called(found.own));
      draw(collection === "organisations" ? organisation(found.own, found.below) : person(found.own, found.above), quiet);
      title(called(found.own));
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
        ? [el("h3", {}, `There is no such ${NAMES[collection][0]}`), el("p", { dir: "auto" }, problem.message), el("p", {}, "As soon as it arrives, it shows up here.")]
        : problemNote(problem, () => { entity.form = undefined; showEntity(collection, id); })),
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
  Object.assign(entity, { collection: undefined, id: undefined, form: undefined, asking: undefined });
  draw([
    crumbs([]),
    el("h1", { tabindex: "-1" }, "There is no such page"),
    el("div", { class: "note" },
      el("p", {}, "The address ends with ", el("code", {}, bdi(`#${hash}`.slice(0, 200))), ", which names no search, organisation or contact."),
      el("p", { class: "actions" }, el("a", { class: "button", href: "#/", "data-focus": "home" }, "Go to the search"))),
  ], false);
  title("No such page");
};

const draw = (nodes, quiet) => {
  const box = $("entity");
  const held = focusIn(box);
  const wasHeading = held?.active.tagName === "H1";
  box.replaceChildren(...nodes.flat().filter(Boolean));
  if (wasHeading || (!quiet && document.activeElement === document.body)) box.querySelector("h1")?.focus({ preventScroll: quiet });
  else focusAgain(box, held);
};

// Above, from the root down; the way back to the search first.
const crumbs = (above) =>
  el("nav", { class: "crumbs", "aria-label": "Path" }, el("ol", {},
    el("li", { "data-key": "search" }, el("a", { href: searchHash(), "data-focus": "search" }, "Search")),
    above.map((one, at) => el("li", { "data-key": textOf(one.id) }, entityLink("organisations", one, {
      "data-focus": "crumb", "data-parent": at === above.length - 1, "aria-keyshortcuts": at === above.length - 1 ? "Alt+ArrowUp" : undefined })))));
const fromRoot = (ancestors) => list(ancestors).filter(isObject).reverse();

const heading = (thing, kind) => {
  const name = called(thing);
  return el("div", { class: "heading" },
    el("p", { class: "kind" }, kind),
    el("h1", { tabindex: "-1", dir: "auto", class: name.length > 120 ? "long" : undefined }, nameNodes(thing)));
};

const organisation = (own, below) => {
  const above = fromRoot(own.ancestors);
  if (above.length === 0 && isObject(own.parent)) above.push(own.parent);
  const total = Number.isFinite(below?.descendantCount) ? below.descendantCount : list(below?.children).length;
  return [
    crumbs(above),
    heading(own, textOf(own.type) ? ["Organisation · ", bdi(textOf(own.type))] : "Organisation"),
    own.stub && el("p", { class: "hint" }, "Others refer to this organisation, but nothing is known of it yet."),
    own.hierarchyCycle && el("p", { class: "hint" }, "Its parent organisations form a loop, so the path ends here."),
    el("p", { class: "actions" }, el("a", { class: "button", "data-focus": "below", href: searchHash({ q: "", in: "organisations", under: textOf(own.id), filters: [] }) }, ["Search within ", brief(own)])),
    el("div", { class: "split" },
      el("div", {}, details(own), staff(own)),
      descendants(below, total)),
  ];
};

const person = (own, above) => {
  const organisation = isObject(own.organisation) ? own.organisation : undefined;
  return [
    crumbs(organisation ? [...fromRoot(above?.ancestors), organisation] : []),
    heading(own, "Contact"),
    details(own),
  ];
};

// Details -----------------------------------------------------------------------------------------

const instant = (value) => {
  const time = new Date(textOf(value));
  if (Number.isNaN(time.getTime())) return bdi(textOf(value));
  return el("time", { datetime: time.toISOString() }, time.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
};
const address = (value) => {
  if (!isObject(value)) return bdi(textOf(value));
  const { street, postcode, city, region, country, ...rest } = value;
  const lines = [textOf(street), [postcode, city].map(textOf).filter(Boolean).join(" "), textOf(region), country && countryName(textOf(country)), ...Object.values(rest).map(textOf)];
  return lines.filter(Boolean).map((line) => el("div", { dir: "auto" }, line));
};
const tags = (values) => el("ul", { class: "tags" }, values.map((value) => el("li", {}, bdi(textOf(value)))));
const anything = (value) => (Array.isArray(value) && value.length > 0 && value.length < 100 && value.every((one) => typeof one !== "object") ? tags(value) : isObject(value) || Array.isArray(value) ? el("pre", { dir: "auto", tabindex: "0", "aria-label": "Structured value" }, textOf(value)) : bdi(textOf(value)));
const details = (own) => {
  const is = (value) => value !== undefined && value !== null && textOf(value) !== "";
  const row = (name, value, make) => is(value) && el("div", {}, el("dt", {}, bdi(name)), el("dd", { dir: "auto" }, make ? make(value) : bdi(textOf(value))));
  const further = Object.entries(own).filter(([name]) => !TOLD.includes(name) && !name.startsWith("_"));
  const extra = isObject(own.attributes) ? Object.entries(own.attributes) : [];
  const belongsTo = own.parent ?? own.organisation;
  return el("section", { "aria-labelledby": "details-title" },
    el("h2", { id: "details-title" }, "Details"),
    el("dl", { class: "details" },
      row("Status", own.status, status),
      row("Industry", own.industry),
      row("Role", own.role),
      row("Department", own.department),
      isObject(belongsTo) && row(own.parent ? "Part of" : "Organisation", textOf(belongsTo.id), () => entityLink("organisations", belongsTo, { "data-focus": "part-of" })),
      row("Website", own.website, outward),
      row("E-mail", own.email, (value) => mail(value)),
      row("Phone", own.phone, (value) => phone(value)),
      row("Address", own.address, address),
      list(own.tags).length > 0 && row("Tags", own.tags, () => tags(list(own.tags))),
      row("Created", own.createdAt, instant),
      row("Updated", own.updatedAt, instant),
      [...further, ...extra].map(([name, value]) => row(labelled(name), value, anything)),
      row("Id", own.id, (value) => el("code", {}, textOf(value)))));
};

// Long lists --------------------------------------------------------------------------------------

// A list in pages; which page is kept while the same thing is shown.
const paged = (name, label, items, make) => {
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
    el("ul", { class: name, "aria-label": label }, items.slice(at() * ROWS, (at() + 1) * ROWS).map((item) => {
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

const staff = (own) => {
  const contacts = list(own.contacts).filter(isObject);
  const total = Number.isFinite(own.contactCount) ? own.contactCount : contacts.length;
  return el("section", { "aria-labelledby": "contacts-title" },
    el("h2", { id: "contacts-title" }, "Contacts ", el("span", { class: "badge" }, numbers.format(total))),
    total === 0 && el("p", { class: "faint" }, "None."),
    contacts.length > 0 && paged("people", "Contacts", contacts, (contact) => el("li", {},
      entityLink("contacts", contact, { "data-focus": "main", "data-row": true, dir: "auto", class: "who" }),
      dotted("span", "meta", [textOf(contact.role) && bdi(textOf(contact.role)), textOf(contact.department) && bdi(textOf(contact.department))]),
      dotted("span", "meta reach", [textOf(contact.email) && mail(contact.email), textOf(contact.phone) && phone(contact.phone)]))),
    (own.contactsTruncated || total > contacts.length) && el("p", { class: "hint" }, `The first ${numbers.format(contacts.length)} of ${numbers.format(total)}; the search finds the others.`));
};

const descendants = (below, total) => {
  const children = list(below?.children).filter(isObject);
  const direct = Number.isFinite(below?.childCount) ? below.childCount : children.length;
  return el("section", { class: "below", "aria-labelledby": "below-title" },
    el("h2", { id: "below-title" }, "Subsidiaries ", el("span", { class: "badge" }, numbers.format(direct))),
    el("p", { class: "faint" }, direct === 0 ? "None." : total > direct ? `${numbers.format(total)} in total, with their own subsidiaries.` : false),
    children.length > 0 && paged("children", "Subsidiaries", children, (child) => el("li", {}, entityLink("organisations", child, { "data-focus": "main", "data-row": true, dir: "auto" }))),
    below?.childrenTruncated && el("p", { class: "hint" }, `The first ${numbers.format(children.length)} of ${numbers.format(direct)}; “Search within …” finds the others.`));
};
