// What changes, as it changes: which memory, on which node, and how late it was heard of here.

import { h, show, steady } from "../dom.js";
import { duration, t } from "../i18n.js";
import { icon } from "../icons.js";
import { isChange, liveState, onEvent } from "../live.js";
import { button, empty, heading, memoryLink, tagLink } from "../parts.js";

/** How many changes are shown. */
const SHOWN_MAX = 200;

const changes = [];
const viewers = new Set();
let paused = false;
let missed = 0;

const SIGNS = { memory_stored: "plus", memory_updated: "edit", memory_deleted: "trash" };

onEvent((name, data, at) => {
  if (isChange(name)) {
    changes.unshift({ name, data, at });
    changes.length = Math.min(changes.length, SHOWN_MAX);
    if (paused) missed += 1;
  }
  if (isChange(name) || name === "state") viewers.forEach((view) => view());
});

/** For so long a change is a new one. */
const FRESH_MS = 900;
const DAY_MS = 86400000;

const clock = (at) => new Date(at).toLocaleTimeString([], { hour12: false });

/** From the author's write to this page. An import may bring times of long ago: then it is from
 *  the commit here. */
function lagOf(data, at) {
  const written = at - data.updated_at * 1000;
  const here = Math.max(0, at - Date.parse(data.timestamp));
  return written >= here && written < DAY_MS ? written : here;
}

function entry({ name, data, at }) {
  const lag = lagOf(data, at);
  const label = data.content_preview ?? `${data.content_hash.slice(0, 12)}…`;
  const title = t(`event.${name}`);
  const fresh = Date.now() - at < FRESH_MS ? "fresh" : "";
  return h("li", { class: `change ${name} ${fresh}` },
    h("span", { class: "sign", title }, icon(SIGNS[name]), h("span", { class: "hidden" }, title)),
    h("div", { class: "change-body" },
      h("a", { class: "change-text", href: memoryLink(data) }, label),
      h("div", { class: "change-foot" },
        h("span", { class: "origin" }, data.origin),
        h("span", { class: "lag", title: t("feed.lag") }, duration(lag)),
        h("time", { datetime: data.timestamp }, clock(at)),
        (data.changed ?? []).slice(0, 3).map((field) => h("span", { class: "muted" }, field)),
        (data.tags ?? []).slice(0, 3).map((tag) => tagLink(tag)))));
}

/** The feed in a place of its own; it looks after itself while it is on the page. */
function feed() {
  const list = h("ol", { class: "changes", "aria-label": t("feed.title") });
  const status = h("span", { class: "live-state", role: "status" });
  const toggle = h("span", {});
  let frozen = null;
  const onclick = () => {
    paused = !paused;
    missed = 0;
    viewers.forEach((view) => view());
    toggle.querySelector("button").focus();
  };
  const view = () => {
    if (!list.isConnected && list.dataset.shown) {
      viewers.delete(view);
      return;
    }
    list.dataset.shown = "true";
    frozen = paused ? (frozen ?? [...changes]) : null;
    const shown = frozen ?? changes;
    steady(list, () => show(list, shown.map(entry)));
    list.hidden = shown.length === 0;
    const nothing = list.parentElement?.querySelector(".empty");
    if (nothing) nothing.hidden = shown.length > 0;
    const state = paused ? "paused" : liveState();
    status.className = `live-state ${state}`;
    show(status, h("i", {}), t(`feed.${state}`));
    const label = paused
      ? (missed ? t("feed.resume.count", { count: missed }) : t("feed.resume"))
      : t("feed.pause");
    const focused = toggle.contains(document.activeElement);
    show(toggle, button(label, { icon: paused ? "play" : "pause", bare: !paused, onclick }));
    if (focused) toggle.firstChild.focus();
  };
  viewers.add(view);
  queueMicrotask(view);
  return { list, status, toggle, nothing: empty(t("feed.empty"), t("feed.empty.hint")) };
}

/** The feed at the side of another page. */
export function feedPanel() {
  const { list, status, toggle, nothing } = feed();
  return h("aside", { class: "feed", "aria-label": t("feed.title") },
    h("div", { class: "feed-head" }, h("h2", {}, t("feed.title")), status, toggle), nothing, list);
}

/** The feed as a page. */
export function feedView() {
  const { list, status, toggle, nothing } = feed();
  return { page: h("div", { class: "column wide feed-page" },
    heading(t("feed.title"), status, toggle), nothing, list) };
}
