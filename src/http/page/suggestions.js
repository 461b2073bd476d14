
// Suggestions -------------------------------------------------------------------------------------

let suggesting;

const suggest = async () => {
  suggesting?.abort();
  const mine = new AbortController();
  suggesting = mine;
  let found = [];
  try {
    if (query.q.trim() && query.in) found = list((await ask(`/suggest?q=${encode(query.q)}`, mine.signal)).suggestions);
  } catch { /* the hits count more */ }
  if (suggesting !== mine) return;
  const usable = found.filter((one) => isObject(one) && collectionOf(one.in) && textOf(one.id)).slice(0, 6);
  reconcile($("suggestions").querySelector("ul"), usable, {
    key: (one) => `${one.in}/${textOf(one.id)}`,
    make: (one) => el("li", {}, el("a", { href: entityHash(one.in, one.id), "data-focus": "main", "data-in": one.in },
      bdi(textOf(one.text) || textOf(one.id)), textOf(one.detail) && [" ", el("bdi", { class: "faint" }, textOf(one.detail))], el("span", { class: "unseen" }, `, ${nounOf(one.in).one}`))),
  });
  $("suggestions").hidden = usable.length === 0;
};
