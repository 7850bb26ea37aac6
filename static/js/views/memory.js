// One memory: what it says, where each part of it came from, and what can be done with it.

import { h, show } from "../dom.js";
import { dateTime, t } from "../i18n.js";
import { icon } from "../icons.js";
import { drop, keep, keptOne } from "../keep.js";
import { isChange, onEvent } from "../live.js";
import { Away, get, memoryPath } from "../net.js";
import { make } from "../outbox.js";
import { button, empty, loader, memoryLink, searchLink, tagLink, toast, when } from "../parts.js";
import { go } from "../router.js";
import { editor } from "./editor.js";

async function find(id) {
  try {
    const memory = await get(memoryPath(id));
    keep([memory]);
    const history = await get(memoryPath(id, "/history"));
    return { memory, history };
  } catch (error) {
    if (error instanceof Away) {
      const memory = await keptOne(id.namespace, id.content_hash);
      if (memory) return { memory, history: null };
    }
    if (error.status !== 404) throw error;
    drop(id.namespace, id.content_hash);
    const history = await get(memoryPath(id, "/history")).catch(() => null);
    return { memory: null, history };
  }
}

/** The page of a memory. */
export function memoryView(id) {
  const page = h("div", { class: "column wide" });
  const load = loader(page);
  const state = { editing: false };
  const reload = () => load(() => find(id), (found) => render(id, found, state, reload));
  reload();
  const leave = onEvent((name, data) => {
    if (isChange(name) && data.content_hash === id.content_hash && !state.editing) reload();
  });
  return { page, leave };
}

function render(id, { memory, history }, state, reload) {
  if (!memory) return gone(id, history, reload);
  const body = h("article", { class: "memory" });
  const view = () => {
    state.editing = false;
    show(body, reading(memory));
  };
  const edit = () => {
    state.editing = true;
    const saved = (next) => {
      state.editing = false;
      if (next && next.content_hash !== id.content_hash) go(memoryLink(next));
      else reload();
    };
    show(body, editor(memory, { saved, cancelled: view, reload }));
  };
  view();
  return [
    h("div", { class: "heading" },
      h("a", { class: "button bare", href: "#/", "aria-label": t("action.back") }, icon("back")),
      h("h1", {}, t("memory.title")),
      h("div", { class: "beside" },
        button(t("action.edit"), { icon: "edit", onclick: edit }),
        h("a", { class: "button", href: searchLink({ near: id.content_hash, ns: id.namespace }) },
          icon("near"), h("span", {}, t("action.near"))),
        button(t("action.delete"), { icon: "trash", kind: "danger", onclick: () => remove(memory) }))),
    body,
    history && pasts(history),
  ];
}

function reading(memory) {
  const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const metadata = Object.entries(memory.metadata);
  return [
    h("p", { class: "memory-text" }, memory.content),
    memory.tags.length > 0 && h("p", { class: "tags" }, memory.tags.map((tag) => tagLink(tag))),
    h("dl", { class: "facts" },
      fact(t("memory.type"), memory.memory_type ?? t("memory.none")),
      fact(t("memory.created"), when(memory.created_at)),
      fact(t("memory.updated"), when(memory.updated_at)),
      fact(t("memory.origin"), memory.origin),
      fact(t("memory.namespace"), memory.namespace),
      fact(t("memory.hash"), h("code", {}, memory.content_hash))),
    metadata.length > 0 && table(t("memory.metadata"), [t("memory.key"), t("memory.value")],
      metadata.map(([key, value]) => [key, asText(value)])),
  ];
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function table(title, heads, rows) {
  return h("section", { class: "block" }, h("h2", {}, title),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
      h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, rows.map((cells) =>
          h("tr", {}, cells.map((cell) => h("td", {}, cell))))))));
}

const clock = (ms) => h("time", { datetime: new Date(ms).toISOString() }, dateTime(ms / 1000));
const node = (origin) => h("span", { class: "origin", title: origin }, origin.split("~")[0]);

function pasts(history) {
  const short = (value) => {
    const words = asText(value);
    return words.length > 120 ? `${words.slice(0, 120)}…` : words;
  };
  return [
    history.losing.length > 0 && h("div", { class: "notice" }, icon("warn"),
      h("p", {}, t("memory.conflicts.hint", { count: history.losing.length }))),
    history.losing.length > 0 && table(t("memory.conflicts"),
      [t("memory.part"), t("memory.lost"), t("memory.clock"), t("memory.from"), t("memory.winner")],
      history.losing.map((one) =>
        [one.field, short(one.value), clock(one.clock_ms), node(one.origin), node(one.winner)])),
    table(t("memory.fields"),
      [t("memory.part"), t("memory.value"), t("memory.clock"), t("memory.from"), t("memory.number")],
      history.fields.map((one) =>
        [one.field, short(one.value), clock(one.clock_ms), node(one.origin), String(one.oseq)])),
    table(t("memory.history"),
      [t("memory.change"), t("memory.at"), t("memory.from"), t("memory.number"), t("memory.parts")],
      [...history.entries].reverse().map((one) =>
        [t(`kind.${one.kind}`), when(one.at), node(one.origin), String(one.oseq), one.changed.join(", ")])),
  ];
}

function gone(id, history, reload) {
  const back = button(t("action.restore"), { kind: "primary", onclick: () => restore(id).then(reload) });
  return [empty(t("memory.gone"), history ? t("memory.gone.hint") : t("memory.unknown")),
    history && h("p", { class: "center" }, back), history && pasts(history)];
}

async function remove(memory) {
  try {
    const answer = await make("DELETE", memoryPath(memory), undefined,
      { "if-match": `"${memory.version}"` });
    drop(memory.namespace, memory.content_hash);
    toast(answer ? t("memory.deleted") : t("offline.queued"), {
      action: answer && t("action.undo"),
      onaction: () => restore(memory).then(() => go(memoryLink(memory))),
    });
    go("#/");
  } catch (error) {
    toast(error.status === 412 ? t("memory.changed") : error.message, { kind: "warn" });
  }
}

async function restore(id) {
  try {
    const answer = await make("POST", memoryPath(id, "/restore"));
    toast(answer ? t("memory.restored") : t("offline.queued"));
  } catch (error) {
    toast(error.message, { kind: "warn" });
  }
}
