
// Words for names that read better than those which are made of the names. A model without these names uses none.

const WORDS = {
  // Of fields, embeds, filters and computed members; those with a dot are of one projection.
  labels: {
    email: "E-mail", sku: "SKU", url: "URL", parent: "Part of", ...BUILT_IN.labels,
  },
  // The singulars of names without a regular plural.
  singulars: { people: "person", children: "child", men: "man", women: "woman", series: "series", news: "news" },
  // The names of orders: the lowest first, and with "-" the highest first. Others of the same field are not offered.
  sorts: { "-createdAt": "Newest first", createdAt: "Oldest first", "-updatedAt": "Changed last" },
  // The texts that can be typed, in this order: for the field of the search, and in a sentence.
  asked: {
    name: ["name", "a name"], email: ["e-mail", "an e-mail address"], phone: ["phone", "a phone number"], address: ["city", "a city"],
    industry: ["industry", "an industry"], role: ["role", "a role"], department: ["department", "a department"], tags: ["tag", "a tag"],
  },
  // Searched fields that the sentence leaves out, because it is long enough.
  unasked: ["type", "status", "website", "firstName", "lastName"],
  // Several words at once, for the first collection of this name.
  sample: BUILT_IN.sample,
  // Members that the hits of a collection leave out.
  quiet: BUILT_IN.quiet,
};

// The kinds of texts with these names.
const ROLES = { status: "status", email: "email", phone: "phone", mobile: "phone", website: "url", homepage: "url", url: "url" };
// Parts of a name, which are not told beside it.
const NAME_PARTS = ["firstName", "lastName"];

// The words of a name that the page has no words for: those of "openedAt" are "Opened".
const labelled = (name) => {
  const words = name.replace(/([a-z])At$/, "$1").replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/[_.-]+/g, " ").trim();
  return words.length > 0 && words.length < 60 ? words[0].toUpperCase() + words.slice(1).toLowerCase() : name;
};
const wordOf = (table, name) => (Object.hasOwn(table, name) ? table[name] : undefined);
const labelOf = (name, projection = "") => wordOf(WORDS.labels, `${projection}.${name}`) ?? wordOf(WORDS.labels, name) ?? labelled(name);
const lower = (text) => (/^.[A-Z]/.test(text) ? text : text.charAt(0).toLowerCase() + text.slice(1));
const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const withArticle = (text) => `${/^[aeiou]/i.test(text) ? "an" : "a"} ${text}`;
const joined = (texts, word) => (texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} ${word} ${texts.at(-1)}`);

const ONE = [[/ies$/, "y"], [/(ss|x|ch|sh)es$/, "$1"], [/([^sui])s$/, "$1"]];
const singular = (word) => {
  const irregular = Object.keys(WORDS.singulars).find((many) => word === many || word.endsWith(` ${many}`));
  if (irregular) return word.slice(0, -irregular.length) + WORDS.singulars[irregular];
  const [ending, one] = ONE.find(([ending]) => ending.test(word)) ?? [/$/, ""];
  return word.replace(ending, one);
};
// The singular and the plural of a name.
const nounOf = (name) => {
  const many = lower(labelled(name));
  return { one: singular(many), many };
};
