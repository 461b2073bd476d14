
// The state of the indexing ------------------------------------------------------------------------

const STATUS_MS = 2_000;
const SAMPLES = 60;
// Rates are means over so many samples: a single one jumps too much to be read.
const SMOOTHED = 4;
// Changes that are on their way for less time are no news to a person who searches.
const LATE_MS = 5_000;

const samples = [];
let delivered;

const whole = (value) => (Number.isFinite(value) ? value : 0);
const rate = (field, last = samples.length - 1) => {
  const newest = samples[last];
  const oldest = samples[Math.max(0, last - SMOOTHED)];
  if (!newest || newest === oldest) return undefined;
  return Math.max(0, ((newest[field] - oldest[field]) * 1000) / (newest.at - oldest.at));
};

// Asks once; says whether the index moved since the last time.
const readStatus = async () => {
  let report;
  try {
    report = await ask("/status");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    mood(isAway(problem) ? "The server cannot be reached" : "The state of the index is unknown", "bad");
    return false;
  }
  const partitions = list(report.partitions).filter(isObject);
  const sample = { at: performance.now(), records: whole(report.counters?.records), delivered: whole(report.counters?.delivered) };
  const before = samples.at(-1);
  // Counters that fell, or a page that slept: earlier samples do not count.
  if (before && (sample.records < before.records || sample.delivered < before.delivered || sample.at - before.at > 5 * STATUS_MS)) samples.length = 0;
  samples.push(sample);
  if (samples.length > SAMPLES) samples.shift();
  showStatus(report, partitions);
  const place = JSON.stringify([report.ready, partitions.map((one) => [one.topic, one.partition, one.position, one.delivered]), sample.delivered]);
  const hasMoved = delivered !== undefined && delivered !== place;
  delivered = place;
  return hasMoved;
};

const mood = (text, kind) => {
  $("mood").textContent = text;
  $("mood").dataset.kind = kind;
};

const showStatus = (report, partitions) => {
  const state = textOf(report.state);
  const reasons = list(report.reasons).filter(isObject);
  const isBusy = reasons.every((one) => ["starting", "filling"].includes(one.cause));
  const lag = partitions.reduce((sum, one) => sum + whole(one.lag), 0);
  const waits = whole(report.documents_waiting);
  const rebuilding = list(report.reindex).filter(isObject).map((one) => textOf(one.projection));
  const further = rebuilding.length > 0 ? ` · rebuilding ${rebuilding.join(", ").slice(0, 60)}` : "";
  const cause = textOf(reasons[0]?.cause).replaceAll("_", " ") || "unknown";
  const isLate = lag > 0 && whole(report.oldest_waiting_ms) > LATE_MS;
  if (report.ready === false) mood(`The index is not ready: ${cause}${further}`, isBusy ? "busy" : "bad");
  else if (state === "catching up" || isLate) mood(`The index is ${plural(lag, "change", "changes")} behind${further}`, "busy");
  else mood(`The index is up to date${further}`, "good");
  $("unready").hidden = reasons.length === 0;
  $("unready").textContent = reasons.map((one) => textOf(one.detail)).join("; ");
  const gauges = [
    ["State", state || "unknown", ""],
    ["Lag", count(lag), "events"],
    ["Read", count(rate("records")), "events/s"],
    ["Written", count(rate("delivered")), "documents/s"],
    ["Waiting", count(waits), waits === 1 ? "document" : "documents"],
    ["Oldest change", whole(report.oldest_waiting_ms) > 0 ? duration(report.oldest_waiting_ms) : "none", ""],
  ];
  reconcile($("gauges"), gauges, {
    key: ([name]) => name,
    make: ([name, value, unit]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("span", { class: "value" }, value), " ", el("span", { class: "unit" }, unit))),
    update: (node, [, value, unit]) => {
      node.querySelector(".value").textContent = value;
      node.querySelector(".unit").textContent = unit;
    },
  });
  reconcile($("partitions"), partitions, {
    key: (one) => `${textOf(one.topic)}/${textOf(one.partition)}`,
    make: (one) => el("tr", {}, el("th", { scope: "row" }, bdi(`${textOf(one.topic)}/${textOf(one.partition)}`)), el("td", {}, count(whole(one.position))), el("td", {}, count(whole(one.lag)))),
  });
  showReindex(list(report.reindex).filter(isObject));
  showTrend();
};

const showReindex = (running) => {
  $("reindex").hidden = running.length === 0;
  const told = (one) => {
    const total = whole(one.total);
    const speed = Number.isFinite(one.rate) ? ` · ${count(one.rate)}/s` : "";
    if (whole(one.events) < whole(one.events_total)) return `${count(whole(one.events))} of ${count(whole(one.events_total))} events${speed}`;
    return `${count(whole(one.documents))}${total > 0 ? ` of ${count(total)}` : ""}${speed}`;
  };
  const set = (node, one) => {
    node.querySelector(".phase").textContent = textOf(one.phase);
    node.querySelector(".told").textContent = told(one);
    const bar = node.querySelector("progress");
    const [done, all] = whole(one.events) < whole(one.events_total) ? [whole(one.events), whole(one.events_total)] : [whole(one.documents), whole(one.total)];
    if (all > 0) {
      bar.max = all;
      bar.value = Math.min(done, all);
    } else {
      bar.removeAttribute("value");
    }
  };
  reconcile($("reindex"), running, {
    key: (one) => textOf(one.projection),
    make: (one) => {
      const node = el("li", {}, el("div", {}, el("strong", {}, bdi(textOf(one.projection))), " ", el("span", { class: "phase faint" })),
        el("progress", { "aria-label": `Reindexing ${textOf(one.projection)}` }), el("div", { class: "told faint" }));
      set(node, one);
      return node;
    },
    update: set,
  });
};

// Documents a second over the last minutes, as a line.
const showTrend = () => {
  const rates = samples.slice(1).map((_, at) => rate("delivered", at + 1) ?? 0);
  const highest = Math.max(...rates);
  $("trend").toggleAttribute("hidden", rates.length < 3 || highest === 0);
  if (rates.length < 3 || highest === 0) return;
  const step = 120 / (SAMPLES - 1);
  const start = 120 - step * (rates.length - 1);
  const points = rates.map((value, at) => `${(start + at * step).toFixed(1)} ${(26 - (24 * value) / highest).toFixed(1)}`);
  $("trend").querySelector(".line").setAttribute("d", `M${points.join("L")}`);
  $("trend").querySelector(".area").setAttribute("d", `M${start.toFixed(1)} 28L${points.join("L")}L120 28Z`);
};
