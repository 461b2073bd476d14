
// The page without a query: the searched collections, with examples from the data -------------------------

const EXAMPLES_MS = 60_000;
const examples = { found: [], at: -Infinity, isAsking: false };

// The words on the page that name collections and their fields.
const showNames = () => {
  const nouns = model.collections.map((collection) => nounOf(collection.name).many);
  // Where the second is searched with the first, it is that of the first.
  const [first, second] = model.collections;
  const isTheirs = model.collections.length === 2 && first.matched.some((matched) => isOfSameType(embedAt(shapeOf(first.name), matched.embed)?.projection, second.name));
  $("landing-title").textContent = `Search ${isTheirs ? nouns.join(" and their ") : joined(nouns, "and")}`;
  $("form").setAttribute("aria-label", upper(joined(nouns, "and")));
  const asked = askedFields();
  const sample = first && wordOf(WORDS.sample, first.name);
  const sentence = joined(asked.map(([, one]) => one), "or");
  $("asked").textContent = `Type ${sentence}, or several of them${sample ? `: “${sample}”` : ""}. The beginning of a word is enough, and typos are OK.`;
  $("q").placeholder = `${upper(asked.slice(0, 4).map(([word]) => word).join(", "))} …`;
};
// The searched fields in words: those that the page knows, then others.
const ASKED_MOST = 8;
const askedFields = () => {
  const searched = [...new Set(model.collections.flatMap((collection) => collection.words))].filter((name) => !WORDS.unasked.includes(name));
  const order = Object.keys(WORDS.asked);
  const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  const words = (name) => wordOf(WORDS.asked, name) ?? [lower(labelOf(name)), withArticle(lower(labelOf(name)))];
  return searched.sort((one, other) => rank(one) - rank(other)).slice(0, ASKED_MOST).map(words);
};

const showLanding = () => {
  const isBare = !query.q.trim() && !query.under && query.filters.length === 0 && !shown.problem;
  $("landing").hidden = !isBare || shown.total === 0;
  reconcile($("examples"), examples.found, {
    key: (example) => example.kind,
    make: (example) => el("li", {}, el("a", { href: searchHash({ q: example.q, in: example.in, under: "", filters: [] }), "data-focus": "main" },
      bdi(example.q)), " ", el("span", { class: "faint" }, example.kind)),
  });
  if (!$("landing").hidden && !examples.isAsking && performance.now() - examples.at > EXAMPLES_MS) learnExamples();
};

// The collection whose hits show most ways to reach their entities.
const exemplary = () => {
  const reach = (collection) => collection.hit.filter((name) => wordOf(ROLES, name)).length;
  return [...model.collections].sort((one, other) => reach(other) - reach(one))[0];
};
// Where its examples are searched: in the first collection, where that is searched with it.
const exampleTarget = (of) => {
  const [first] = model.collections;
  return first.matched.some((matched) => isOfSameType(embedAt(shapeOf(first.name), matched.embed)?.projection, of.name)) ? first : of;
};

const learnExamples = async () => {
  const of = exemplary();
  if (!of) return;
  examples.isAsking = true;
  try {
    const answer = await ask(`/search?${new URLSearchParams({ in: of.name, size: 50 })}`);
    examples.found = pickExamples(list(answer.hits).filter(isObject), of);
  } catch { /* the page serves without examples */ } finally {
    Object.assign(examples, { at: performance.now(), isAsking: false });
  }
  showLanding();
};

// The kinds of examples: a name with that of an entity that it refers to, then the searched fields that hits show.
const exampleKinds = (of) => {
  const shape = shapeOf(of.name);
  const isShort = (value) => typeof value === "string" && value.length > 2 && value.length <= 40;
  const { one } = nounOf(of.name);
  const referred = shape.embeds.find((embed) => of.hit.includes(embed.name) && of.referred.some((referred) => referred.embed === embed.name));
  const owner = (hit) => (referred && isObject(hit[referred.name]) ? textOf(hit[referred.name][titleOf(embeddedShape(referred))]) : "");
  const told = { email: "an e-mail address", phone: "a phone number, however written" };
  const words = of.words.filter((name) => name !== of.title && of.hit.includes(name)).sort((one, other) => Object.hasOwn(told, other) - Object.hasOwn(told, one));
  const ofWord = (name) => [wordOf(told, name) ?? wordOf(WORDS.asked, name)?.[1] ?? withArticle(lower(labelOf(name))),
    (hit) => list(hit[name]).slice(0, 1).find(isShort) ?? false];
  return {
    isPlain: (hit) => /^[\p{Script=Latin}\p{M}\s'’.-]+$/u.test(`${textOf(hit.name)}${owner(hit)}`),
    kinds: [
      referred && [`${withArticle(one)} and its ${lower(labelled(referred.name))}`, (hit) => isShort(hit.name) && isShort(owner(hit)) && `${hit.name} ${owner(hit).split(/\s/)[0]}`],
      !referred && [withArticle(one), (hit) => isShort(hit.name) && hit.name],
      ...words.map(ofWord),
    ].filter(Boolean),
  };
};

// Three that differ in kind, of hits that differ where there are several.
const EXAMPLES = 3;
const pickExamples = (hits, of) => {
  const { isPlain, kinds } = exampleKinds(of);
  let left = [...hits].sort((a, b) => isPlain(b) - isPlain(a));
  const picked = kinds.flatMap(([kind, make]) => {
    const one = left.find(make) ?? hits.find(make);
    if (!one) return [];
    left = left.filter((other) => other !== one);
    return [{ kind, q: make(one), in: exampleTarget(of).name }];
  });
  return picked.slice(0, EXAMPLES);
};
