// The nodes of the cluster as this one sees them.

import { debounce, h, s, show, steady } from "../dom.js";
import { dateTime, duration, number, t } from "../i18n.js";
import { icon } from "../icons.js";
import { isNews, onEvent } from "../live.js";
import { get } from "../net.js";
import { failure, further, grid, heading, loader, memoryLink, when } from "../parts.js";

const LOOK_MS = 2000;
/** Points of a sparkline: four minutes. */
const POINT_COUNT = 120;
/** Lost values that are shown at a time. */
const LOST_COUNT = 20;
/** Characters of a lost value. */
const VALUE_CHARS = 120;
const REFRESH_MS = 1000;

/** How many writes each node lacked, at each look. */
const lags = new Map();
/** The nodes whose applied writes are shown. */
const unfolded = new Set();

/** The page; it looks again for as long as it is shown. */
export function clusterView() {
  const head = h("div", { class: "heading-place" });
  const alarms = h("section", { "aria-label": t("cluster.alarms") });
  const nodes = h("ol", { class: "nodes", "aria-label": t("cluster.nodes") });
  let gone = false;
  const look = async () => {
    try {
      const found = await get("/api/cluster");
      note(found);
      show(head, title(found));
      show(alarms, found.alarms.map(alarm));
      steady(nodes, () => show(nodes, found.nodes.map((node) => card(node, found))));
    } catch (error) {
      show(alarms, failure(error));
    }
    if (!gone) timer = setTimeout(look, LOOK_MS);
  };
  let timer = 0;
  look();
  const lost = lostPanel();
  const leave = () => {
    gone = true;
    clearTimeout(timer);
    lost.leave();
  };
  return { page: h("div", { class: "column wide" }, head, alarms, nodes, lost.panel), leave };
}

/** Values that lost against concurrent writes, newest first; of all memories. */
function lostPanel() {
  const place = h("div", { class: "lost" });
  const end = h("div", {});
  const load = loader(place);
  let all = [];
  const look = (before) => load(() => get("/api/conflicts", { limit: LOST_COUNT, before }), (page) => {
    all = before ? [...all, ...page.conflicts] : page.conflicts;
    const older = page.next_before && (() => look(page.next_before));
    show(end, older && further(t("list.shown", { shown: all.length }), older));
    return lostTable(all);
  });
  const later = debounce(() => look(), REFRESH_MS);
  // Whoever reads older ones is left to it.
  const untold = onEvent((name) => isNews(name) && all.length <= LOST_COUNT && later());
  look();
  const panel = h("section", { class: "panel after" }, h("h2", {}, t("memory.conflicts")), place, end);
  return { panel, leave: () => {
    untold();
    later.stop();
  } };
}

function lostTable(conflicts) {
  if (conflicts.length === 0) return h("p", { class: "muted" }, t("cluster.lost.none"));
  const value = ({ field, value: given }) => {
    if (field.endsWith("_at")) return dateTime(given);
    const words = typeof given === "string" ? given : JSON.stringify(given);
    return words.length > VALUE_CHARS ? `${words.slice(0, VALUE_CHARS)}…` : words;
  };
  const node = (write) => h("span", { class: "origin", title: write }, write.split("~")[0]);
  const row = (one) => [
    h("a", { class: "link", href: memoryLink(one) }, h("code", {}, one.content_hash.slice(0, 12))),
    one.field, value(one), node(one.loser), node(one.winner), when(one.at)];
  const heads = [t("memory.title"), t("memory.part"), t("memory.lost"), t("memory.from"),
    t("memory.winner"), t("memory.at")];
  return [h("p", { class: "muted" }, t("cluster.lost")),
    grid(t("memory.conflicts"), heads, conflicts.map(row))];
}

function note({ nodes, origins }) {
  const missing = origins.reduce((sum, origin) => sum + origin.lag_ops, 0);
  for (const node of nodes) {
    const lag = node.this ? missing : node.lacks_ops;
    const line = lags.get(node.node) ?? [];
    lags.set(node.node, [...line, lag].slice(-POINT_COUNT));
  }
}

function title(found) {
  const state = !found.enabled ? "alone" : found.connected ? "connected" : "apart";
  return heading(t("nav.cluster"),
    found.enabled && h("span", { class: "muted" }, found.name),
    h("span", { class: `badge ${state === "apart" ? "warn" : "good"}` }, t(`cluster.${state}`)));
}

const alarm = ({ kind, subject, detail, since }) =>
  h("div", { class: "notice warn" }, icon("warn"),
    h("div", {}, h("strong", {}, kind.replaceAll("_", " ")), subject && ` · ${subject}`,
      h("p", {}, detail)), when(since));

/** Whether two nodes hold the same. While one lacks writes their digests differ, as they should. */
function digest(node, found) {
  if (node.this) return ["", h("code", { title: found.root }, found.root.slice(0, 12))];
  if (!node.root) return ["", t("cluster.unknown")];
  if (node.root === found.root) return ["good", t("cluster.digest.equal")];
  return node.lacks_ops > 0 || !node.live
    ? ["", t("cluster.digest.behind")]
    : ["", t("cluster.digest.moving")];
}

function card(node, found) {
  const up = node.this || node.live;
  const forgotten = node.state === "forgotten";
  const fact = (name, value, kind = "") =>
    h("div", {}, h("dt", {}, name), h("dd", { class: kind }, value ?? t("cluster.unknown")));
  const [kind, equal] = digest(node, found);
  const outbox = node.this ? found.outbox : node.outbox;
  const lagMs = node.this ? Math.max(0, ...found.origins.map((origin) => origin.lag_ms)) : null;
  const lacks = node.this
    ? found.origins.reduce((sum, origin) => sum + origin.lag_ops, 0)
    : node.lacks_ops;
  return h("li", { class: `node ${up ? "up" : "down"}`, "data-part": node.node },
    h("div", { class: "node-head" }, h("i", { class: "dot" }), h("h2", {}, node.node),
      node.this && h("span", { class: "badge" }, t("cluster.this")),
      h("span", { class: "push" }),
      h("span", { class: up ? "good" : "warn" },
        t(forgotten ? "cluster.forgotten" : up ? "cluster.up" : "cluster.down"))),
    sparkline(lags.get(node.node) ?? [], node.node),
    h("dl", { class: "facts" },
      fact(t("cluster.lag"), lacks === 0 ? t("cluster.none")
        : `${t("cluster.writes", { count: lacks })}${lagMs ? ` · ${duration(lagMs)}` : ""}`,
        lacks ? "warn" : "good"),
      fact(t("cluster.outbox"), outbox === null ? null : number(outbox)),
      fact(t("cluster.digest"), equal, kind),
      fact(t("cluster.records"), node.records === null ? null : number(node.records)),
      !node.this && fact(t("cluster.heard"), duration(node.heard_ms)),
      fact(t("cluster.clock"), node.clock_offset_ms === null ? null : duration(Math.abs(node.clock_offset_ms))),
      fact(t("cluster.disk"), node.disk_percent === null ? null : `${node.disk_percent} %`),
      fact(t("cluster.embedder"), node.embedder),
      fact(t("cluster.version"), node.version)),
    applied(node.node, node.this ? found.applied : node.applied));
}

function applied(name, vector) {
  const rows = Object.entries(vector);
  const range = ([low, high]) => (low === high ? `${low}` : `${low}–${high}`);
  const ontoggle = (event) => (event.target.open ? unfolded.add(name) : unfolded.delete(name));
  return h("details", { class: "applied", open: unfolded.has(name), ontoggle },
    h("summary", {}, t("cluster.applied", { count: rows.length })),
    h("dl", {}, rows.map(([origin, ranges]) =>
      h("div", {}, h("dt", {}, origin), h("dd", {}, ranges.map(range).join(", "))))));
}

function sparkline(values, name) {
  const most = Math.max(1, ...values);
  const place = (value, index) =>
    `${((index / (POINT_COUNT - 1)) * 240).toFixed(1)},${(30 - (value / most) * 28).toFixed(1)}`;
  const shifted = values.map((value, index) => place(value, index + POINT_COUNT - values.length));
  const label = t("cluster.sparkline", { node: name, count: values.at(-1) ?? 0 });
  return s("svg", { class: "sparkline", viewBox: "0 0 240 32", preserveAspectRatio: "none",
    role: "img", "aria-label": label }, s("polyline", { points: shifted.join(" ") }));
}
