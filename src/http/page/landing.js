
// The page without a query: what can be searched, with examples from the data -------------------------

const EXAMPLES_MS = 60_000;
const examples = { found: [], at: -Infinity, isAsking: false };

const showLanding = () => {
  const isBare = !query.q.trim() && !query.under && query.filters.length === 0 && !shown.problem;
  $("landing").hidden = !isBare || shown.total === 0;
  reconcile($("examples"), examples.found, {
    key: (example) => example.kind,
    make: (example) => el("li", {}, el("a", { href: searchHash({ q: example.q, in: "organisations", under: "", filters: [] }), "data-focus": "main" },
      bdi(example.q)), " ", el("span", { class: "faint" }, example.kind)),
  });
  if (!$("landing").hidden && !examples.isAsking && performance.now() - examples.at > EXAMPLES_MS) learnExamples();
};

const learnExamples = async () => {
  examples.isAsking = true;
  try {
    const answer = await ask(`/search?${new URLSearchParams({ in: "contacts", size: 50 })}`);
    examples.found = pickExamples(list(answer.hits).filter(isObject));
  } catch { /* the page serves without examples */ } finally {
    Object.assign(examples, { at: performance.now(), isAsking: false });
  }
  showLanding();
};

// Three that differ in kind, of contacts that differ where there are several.
const pickExamples = (contacts) => {
  const isShort = (value) => typeof value === "string" && value.length > 2 && value.length <= 40;
  const isPlain = (contact) => /^[\p{Script=Latin}\p{M}\s'’.-]+$/u.test(`${textOf(contact.name)}${textOf(contact.organisation?.name)}`);
  const kinds = [
    ["a contact and its organisation", (contact) => isShort(contact.name) && isShort(contact.organisation?.name) && `${contact.name} ${contact.organisation.name.split(/\s/)[0]}`],
    ["an e-mail address", (contact) => isShort(contact.email) && contact.email],
    ["a phone number, however written", (contact) => isShort(contact.phone) && contact.phone],
  ];
  let left = [...contacts].sort((a, b) => isPlain(b) - isPlain(a));
  return kinds.flatMap(([kind, make]) => {
    const one = left.find(make) ?? contacts.find(make);
    if (!one) return [];
    left = left.filter((other) => other !== one);
    return [{ kind, q: make(one) }];
  });
};
