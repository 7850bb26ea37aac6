// All memories at a glance: how many, when they were made, their tags and types.

import { debounce, h, s, show } from "../dom.js";
import { bytes, day, number, t } from "../i18n.js";
import { isNews, onEvent } from "../live.js";
import { get } from "../net.js";
import { empty, further, heading, loader, searchLink, segments, tagLink } from "../parts.js";
import { go } from "../router.js";
import { namespace } from "../settings.js";

const WIDTH = 1000;
const HEIGHT = 150;
/** How many tags are shown at first, and how many more at a time. */
const TAG_COUNT = 80;
const TAG_STEP = 400;
const REFRESH_MS = 1000;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The page. */
export function overviewView() {
  const scope = { namespace: namespace() };
  const state = { period: "quarter", tagCount: TAG_COUNT };
  const totals = h("section", { class: "tiles", "aria-label": t("overview.totals") });
  const graph = h("section", { class: "panel" });
  const labels = h("div", { class: "two" });
  const loads = [loader(totals), loader(graph), loader(labels)];
  const setPeriod = (period) => {
    state.period = period;
    showGraph();
  };
  const showGraph = () => loads[1](
    () => get("/api/analytics/memory-growth", { ...scope, period: state.period, tz: ZONE }),
    (growth) => timeline(growth, state.period, setPeriod));
  const run = () => {
    loads[0](() => get("/api/analytics/overview", scope), tiles);
    showGraph();
    loads[2](() => Promise.all([get("/api/tags", scope), get("/api/types", scope)]),
      (found) => clouds(found, state));
  };
  const later = debounce(run, REFRESH_MS);
  run();
  const page = h("div", { class: "column wide" }, heading(t("nav.overview")), totals, graph, labels);
  const untold = onEvent((name) => isNews(name) && later());
  const leave = () => {
    untold();
    later.stop();
  };
  return { page, leave };
}

function tiles(found) {
  const tile = (label, value) => h("div", { class: "tile" },
    h("span", { class: "tile-value" }, value), h("span", { class: "tile-label" }, label));
  return [
    tile(t("overview.memories"), number(found.total_memories)),
    tile(t("overview.week"), number(found.memories_this_week)),
    tile(t("overview.tagged"), number(found.unique_tags)),
    tile(t("overview.namespaces"), number(found.namespaces.length)),
    tile(t("overview.size"), bytes(found.database_size_mb * 1048576)),
  ];
}

const later = (date, days) => {
  const next = new Date(`${date}T12:00:00Z`);
  next.setUTCDate(next.getUTCDate() + days);
  return next.toISOString().slice(0, 10);
};

function timeline({ data_points: points, period }, _, setPeriod) {
  const periods = ["month", "quarter", "year", "all"].map((id) => [id, t(`period.${id}`)]);
  const most = Math.max(1, ...points.map((point) => point.count));
  const step = WIDTH / points.length;
  const bar = ({ count }, index) => s("rect", {
    x: (index * step + step * 0.12).toFixed(2), width: Math.max(0.6, step * 0.76).toFixed(2),
    y: (HEIGHT - (count / most) * HEIGHT).toFixed(1), height: ((count / most) * HEIGHT).toFixed(1),
    rx: Math.min(2, step / 4).toFixed(2),
  });
  const shade = s("rect", { class: "brush", y: "0", height: String(HEIGHT), width: "0" });
  const picture = s("svg", {
    class: "timeline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true",
  }, s("g", {}, points.map(bar)), shade);
  const said = h("p", { class: "muted timeline-said", "aria-live": "polite" }, t("timeline.hint"));
  const say = (from, to) => {
    const [a, b] = [Math.min(from, to), Math.max(from, to)];
    shade.setAttribute("x", String(a * step));
    shade.setAttribute("width", String((b - a + 1) * step));
    const count = points.slice(a, b + 1).reduce((sum, point) => sum + point.count, 0);
    const range = a === b ? day(points[a].date) : `${day(points[a].date)} – ${day(points[b].date)}`;
    show(said, `${range} · ${t("search.count", { count })}`);
  };
  const open = (from, to) => {
    const [a, b] = [Math.min(from, to), Math.max(from, to)];
    go(searchLink({ after: points[a].date, before: points[b].date }));
  };
  return [
    h("div", { class: "panel-head" }, h("h2", {}, t("timeline.title")),
      segments("period", t("timeline.period"), periods, period, setPeriod)),
    brushable(picture, points.length, say, open),
    h("div", { class: "ends" }, h("span", {}, day(points[0].date)), h("span", {}, day(points.at(-1).date))),
    said,
  ];
}

/** Lets a range be chosen by pointer, or by arrow keys (with Shift to widen it) and Enter. */
function brushable(picture, count, say, open) {
  let from = count - 1;
  let to = count - 1;
  let dragging = false;
  const at = (event) => {
    const box = picture.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * count);
    return Math.min(count - 1, Math.max(0, place));
  };
  const onpointerdown = (event) => {
    area.setPointerCapture(event.pointerId);
    dragging = true;
    from = at(event);
    to = from;
    say(from, to);
  };
  const onpointermove = (event) => {
    if (dragging) to = at(event);
    else from = to = at(event);
    say(from, to);
  };
  const onpointerup = () => {
    if (dragging) open(from, to);
    dragging = false;
  };
  const onkeydown = (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -7, PageDown: 7 }[event.key];
    if (event.key === "Enter") open(from, to);
    if (!move) return;
    event.preventDefault();
    to = Math.min(count - 1, Math.max(0, to + move));
    if (!event.shiftKey) from = to;
    say(from, to);
  };
  const area = h("div", {
    class: "timeline-area", tabindex: "0", role: "application", "aria-label": t("timeline.label"),
    onpointerdown, onpointermove, onpointerup, onkeydown,
  }, picture);
  return area;
}

/** The most common tags, and a way to the others. */
function cloud(place, tags, state) {
  const shown = tags.slice(0, state.tagCount);
  const most = Math.max(1, ...shown.map(({ count }) => count));
  const tag = ({ tag: name, count }) => {
    const link = tagLink(name, count);
    link.dataset.size = String(1 + Math.round((Math.log(count) / Math.log(most + 1)) * 4));
    link.setAttribute("aria-label", t("tags.count", { tag: name, count }));
    return link;
  };
  const sorted = [...shown].sort((a, b) => a.tag.localeCompare(b.tag));
  const more = () => {
    state.tagCount += TAG_STEP;
    cloud(place, tags, state);
    place.querySelector("a").focus();
  };
  return show(place, h("h2", {}, t("overview.tags")),
    shown.length ? h("p", { class: "cloud" }, sorted.map(tag)) : empty(t("tags.none")),
    tags.length > shown.length
      && further(t("list.of", { shown: shown.length, total: tags.length }), more));
}

function clouds([{ tags }, { types }], state) {
  const all = types.reduce((sum, { count }) => sum + count, 0) || 1;
  const type = ({ memory_type: name, count }) => {
    const share = h("span", { class: "share", "aria-hidden": "true" });
    share.style.inlineSize = `${(count / all) * 100}%`;
    const label = name
      ? h("a", { href: searchLink({ type: name }) }, name)
      : h("span", { class: "muted" }, t("memory.untyped"));
    return h("li", {}, share, label, h("span", { class: "count" }, number(count)));
  };
  return [
    cloud(h("section", { class: "panel" }), tags, state),
    h("section", { class: "panel" }, h("h2", {}, t("overview.types")),
      types.length ? h("ol", { class: "types" }, types.map(type)) : empty(t("types.none"))),
  ];
}
