// The first page: search, and what was stored last while nothing is asked.

import { cards, move } from "../card.js";
import { debounce, h, show } from "../dom.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { keep, kept } from "../keep.js";
import { isNews, onEvent } from "../live.js";
import { Away, get, onConnection, post } from "../net.js";
import { empty, further, loader, segments } from "../parts.js";
import { replaceQuery } from "../router.js";
import { namespace } from "../settings.js";
import { ranked, wanted } from "../words.js";
import { feedPanel } from "./feed.js";

/** How many results of a search are shown at first and at most, and how many memories of a list
 *  come at a time. */
const RESULT_COUNT = 30;
const RESULT_COUNT_MAX = 100;
const LIST_COUNT = 100;
const TYPING_MS = 160;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What was found by rank, and how to ask for more: for all of it anew. */
const best = (found, count) => ({
  ...found, isRanked: true,
  next: found.results.length === count && count < RESULT_COUNT_MAX
    ? { count: Math.min(RESULT_COUNT_MAX, 2 * count) } : null,
});

/** A part of a list, and where the next begins. */
const part = (found) => ({ ...found, next: found.next_cursor ? { cursor: found.next_cursor } : null });

/** Asks the node, in the way that fits what is given. Every way takes every filter but one: there
 *  is no list by type and time, so that is a search for nothing in particular. */
async function ask(query, signal, { cursor, count = RESULT_COUNT }) {
  const scope = { namespace: query.ns || namespace() };
  const tags = query.tag ? query.tag.split(",") : [];
  const during = query.time || (query.after && `between ${query.after} and ${query.before}`);
  const filters = { ...scope, tz: ZONE, time_filter: during || undefined };
  if (query.near) {
    const near = await get(`/api/search/similar/${query.near}`, { ...scope, n_results: count }, signal);
    return best(near, count);
  }
  if (query.q || (during && query.type)) {
    return best(await post("/api/search", {
      ...filters, query: query.q || query.type, mode: query.mode || "hybrid", tags,
      tag_match: "all", memory_type: query.type || undefined, n_results: count,
    }, { signal }), count);
  }
  if (during && tags.length > 0) {
    const body = { ...filters, tags, match_all: true, n_results: LIST_COUNT, cursor };
    return part(await post("/api/search/by-tag", body, { signal }));
  }
  if (during) {
    const body = { ...filters, query: during, time_filter: undefined, n_results: LIST_COUNT, cursor };
    return part(await post("/api/search/by-time", body, { signal }));
  }
  const page = { ...scope, tag: query.tag, tag_match: "all", memory_type: query.type, cursor };
  const list = await get("/api/memories", { ...page, page_size: LIST_COUNT }, signal);
  return part({ ...list, results: list.memories, total_found: list.total, search_type: "list" });
}

/** Searches what this browser kept, by words. */
async function askKept(query) {
  if (query.near) return { results: [], search_type: "offline", total_found: 0 };
  const tags = query.tag ? query.tag.split(",") : [];
  const scope = query.ns || namespace();
  const all = (await kept()).filter((memory) =>
    tags.every((tag) => memory.tags.includes(tag))
    && (scope === "*" || memory.namespace === scope)
    && (!query.type || memory.memory_type === query.type));
  const hits = query.q
    ? ranked(all, query.q, RESULT_COUNT).map(({ memory, score }) =>
        ({ memory, score: { keyword: score, total: score }, relevance_reason: t("search.kept") }))
    : all.slice(0, RESULT_COUNT);
  return { results: hits, total_found: hits.length, search_type: "offline" };
}

async function find(query, signal, at = {}) {
  try {
    const found = await ask(query, signal, at);
    keep(found.results.map((hit) => hit.memory ?? hit));
    return found;
  } catch (error) {
    if (error instanceof Away) return askKept(query);
    throw error;
  }
}

/** The page. `query` is what stands in its address. */
export function searchView(query) {
  const state = { ...query };
  const results = h("section", { class: "results", "aria-label": t("search.results") });
  const head = h("p", { class: "results-head", role: "status" });
  const load = loader(results);
  const filters = h("div", { class: "filters" });
  let running = null;
  let isDeep = false;
  const look = (at, before) => {
    running?.abort();
    running = new AbortController();
    return load(() => find(state, running.signal, at), (found) => {
      const all = at?.cursor ? { ...found, results: [...before.results, ...found.results] } : found;
      show(head, summary(state, all));
      return listed(state, all, () => deeper(all));
    });
  };
  const deeper = async (before) => {
    isDeep = true;
    await look(before.next, before);
    results.querySelectorAll(".card-text")[before.results.length]?.focus();
  };
  const run = () => {
    isDeep = false;
    replaceQuery(state);
    return look();
  };
  const later = debounce(run, TYPING_MS);
  const set = (name, value) => {
    state[name] = value;
    if (name === "q") delete state.near;
    later();
  };
  const box = searchBox(state, set, later.now);
  const drop = (...names) => {
    names.forEach((name) => delete state[name]);
    showFilters();
    run();
  };
  const showFilters = () => show(filters, controls(state, set), chips(state, drop));
  showFilters();
  run();
  // Who reads further down is not thrown back to the top: the feed shows what is new.
  const untold = onEvent((name) =>
    isNews(name) && !state.q && !state.near && (!isDeep || name === "reset") && later());
  const unlinked = onConnection(() => later());
  const leave = () => {
    untold();
    unlinked();
    later.stop();
    running?.abort();
  };
  const page = h("div", { class: "with-feed" },
    h("div", { class: "column" }, h("h1", { class: "hidden" }, t("nav.search")), box, filters, head, results),
    feedPanel());
  return { page, leave };
}

function searchBox(state, set, now) {
  const input = h("input", {
    id: "query", type: "search", value: state.q ?? "", placeholder: t("search.placeholder"),
    autocomplete: "off", spellcheck: "false", maxlength: "2000", "aria-label": t("search.placeholder"),
    oninput: (event) => set("q", event.target.value.trim()),
    onkeydown: move,
  });
  const onsubmit = (event) => {
    event.preventDefault();
    now();
  };
  return h("form", { class: "search-box", role: "search", onsubmit }, icon("search"), input,
    h("kbd", { "aria-hidden": "true" }, "/"));
}

function controls(state, set) {
  const modes = [["hybrid", t("mode.hybrid")], ["semantic", t("mode.semantic")],
    ["keyword", t("mode.keyword")]];
  const time = h("input", {
    type: "text", class: "input", value: state.time ?? "", placeholder: t("search.time"), size: "14",
    "aria-label": t("search.time.label"), title: t("search.time.hint"), maxlength: "200",
    list: "time-phrases", oninput: (event) => set("time", event.target.value.trim()),
  });
  const phrases = ["today", "yesterday", "last week", "this month", "3 days ago", "last summer"];
  return [
    segments("mode", t("mode.label"), modes, state.mode ?? "hybrid", (mode) => set("mode", mode)),
    time,
    h("datalist", { id: "time-phrases" }, phrases.map((value) => h("option", { value }))),
  ];
}

/** What else narrows the search, each to be taken away. */
function chips(state, drop) {
  const chip = (label, ...names) => h("button", {
    type: "button", class: "chip", onclick: () => drop(...names),
    "aria-label": t("search.without", { label }),
  }, label, icon("close"));
  const tags = state.tag ? state.tag.split(",") : [];
  return [
    tags.length > 0 && chip(`# ${tags.join(" + ")}`, "tag"),
    state.type && chip(state.type, "type"),
    state.after && chip(`${state.after} – ${state.before}`, "after", "before"),
    state.near && chip(t("search.near.chip", { hash: state.near.slice(0, 8) }), "near"),
  ];
}

const isAsked = (state) =>
  Boolean(state.q || state.time || state.tag || state.type || state.near || state.after);

/** What was found, in a few words. */
function summary(state, found) {
  if (found.results.length === 0) return [];
  const count = found.search_type === "list" ? found.total_found : found.results.length;
  const took = found.processing_time_ms;
  return [
    h("span", {}, isAsked(state) ? t("search.count", { count }) : t("search.recent")),
    found.search_type === "offline" && h("span", { class: "badge warn" }, t("search.kept")),
    took !== undefined && h("span", { class: "muted" }, `${took.toFixed(took < 10 ? 1 : 0)} ms`),
  ];
}

function listed(state, found, deeper) {
  if (found.results.length > 0) {
    return [cards(found.results, wanted(state.q ?? ""), t("search.results")), end(found, deeper)];
  }
  return isAsked(state)
    ? empty(t("search.none"), t("search.none.hint"))
    : empty(t("search.empty"), t("search.empty.hint"));
}

/** How much of all that is, and more of it. */
function end(found, deeper) {
  const shown = found.results.length;
  if (found.next) {
    const name = found.isRanked ? "search.best" : found.search_type === "list" ? "list.of" : "list.shown";
    return further(t(name, { shown, total: found.total_found }), deeper);
  }
  return found.isRanked && shown === RESULT_COUNT_MAX && further(t("search.best.end", { shown }));
}
