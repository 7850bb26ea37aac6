// A memory in a list.

import { h } from "./dom.js";
import { number, t } from "./i18n.js";
import { icon } from "./icons.js";
import { memoryLink, searchLink, tagLink, text, when } from "./parts.js";
import { excerpt } from "./words.js";

const percent = (value) => number(value, { maximumFractionDigits: 2, minimumFractionDigits: 2 });

function meter(value) {
  const bar = h("span", { class: "meter", "aria-hidden": "true" }, h("span", {}));
  bar.firstChild.style.inlineSize = `${Math.round(Math.min(1, Math.max(0, value)) * 100)}%`;
  return bar;
}

/** The parts of a score, folded. Those of words have no upper end: the best result is the measure. */
function score(hit, best) {
  const parts = Object.entries(hit.score ?? {}).filter(([, value]) => typeof value === "number");
  const total = hit.score?.total ?? hit.similarity_score;
  if (typeof total !== "number") return null;
  const part = ([name, value]) => h("div", { class: "score-part" },
    h("dt", {}, t(`score.${name}`)), h("dd", {}, meter(value > 1 ? value / best : value), percent(value)));
  return h("details", { class: "score" },
    h("summary", { title: t("score.why") }, meter(best > 1 ? total / best : total), percent(total)),
    h("div", { class: "score-parts" }, h("p", {}, hit.relevance_reason ?? ""),
      parts.length > 0 && h("dl", {}, parts.map(part))));
}

/** One memory; with what a search says about it, if it was searched for. */
function card(memory, words, hit, best) {
  const near = searchLink({ near: memory.content_hash, ns: memory.namespace });
  return h("li", { class: "card" },
    h("a", { class: "card-text", href: memoryLink(memory) },
      text(excerpt(memory.content, words), words)),
    h("div", { class: "card-foot" },
      hit && score(hit, best),
      memory.memory_type && h("span", { class: "type" }, memory.memory_type),
      memory.tags.map((tag) => tagLink(tag)),
      h("span", { class: "card-end" },
        h("span", { class: "origin" }, memory.origin), when(memory.created_at),
        h("a", { class: "near", href: near, title: t("search.near"), "aria-label": t("search.near") },
          icon("near")))));
}

/** Many, moved through with the arrow keys. */
export function cards(list, words, label) {
  const best = Math.max(1, ...list.map((hit) => hit.score?.total ?? 0));
  const items = list.map((hit) => (hit.memory ? card(hit.memory, words, hit, best) : card(hit, words)));
  return h("ol", { class: "cards", "aria-label": label, onkeydown: move }, items);
}

/** Moves the focus to the next or last memory. */
export function move(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  const links = [...document.querySelectorAll(".card-text")];
  const at = links.indexOf(document.activeElement.closest(".card")?.querySelector(".card-text"));
  const next = links[at + step];
  if (at + step < 0) document.getElementById("query")?.focus();
  if (next) next.focus();
  event.preventDefault();
}
