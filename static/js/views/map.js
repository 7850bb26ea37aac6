// The map of memories by meaning: what is near says the like. A list beside it does by keyboard
// what pointing does.

import { cards } from "../card.js";
import { debounce, h, show, token } from "../dom.js";
import { day, t } from "../i18n.js";
import { hue, inside, nearest } from "../geometry.js";
import { isNews, onEvent } from "../live.js";
import { get, post } from "../net.js";
import {
  button, empty, failure, further, heading, memoryLink, segments, toast,
} from "../parts.js";
import { go } from "../router.js";
import { isDark, namespace } from "../settings.js";

/** How near the pointer must come, in pixels. */
const REACH = 10;
/** How many of the chosen are listed at a time. */
const LISTED_COUNT = 100;
/** How many names a legend gives. */
const LEGEND_COUNT = 9;
/** Degrees between hues, so that any few in a row are far apart. */
const GOLDEN_ANGLE = 137.5;
const REFRESH_MS = 1500;
const DAY = 86400;
const AGES = [["day", DAY], ["week", 7 * DAY], ["month", 30 * DAY], ["year", 365 * DAY], ["older", Infinity]];

/** What a point is coloured by. */
const BY = {
  type: (point) => point.memory_type ?? t("memory.untyped"),
  tag: (point) => point.tags[0] ?? t("map.untagged"),
  origin: (point) => point.origin,
  age: (point) => t(`age.${AGES.find(([, most]) => Date.now() / 1000 - point.created_at < most)[0]}`),
};

/** The page. */
export function mapView() {
  const state = { points: [], by: "type", chosen: null, hovered: -1, line: [], places: [] };
  const canvas = h("canvas", { class: "map", tabindex: "0", role: "img", "aria-label": t("map.label") });
  const tip = h("div", { class: "tip", hidden: true });
  const legend = h("ul", { class: "legend", "aria-label": t("map.legend") });
  const list = h("section", { class: "map-list", "aria-label": t("map.list") });
  const count = h("div", { "aria-live": "polite" });
  const said = h("p", { class: "muted" });
  const board = { canvas, tip, legend, list, said, count };
  const draw = () => paint(canvas, state);
  const load = () => fetchPoints(state, board, draw);
  const by = segments("by", t("map.by"), Object.keys(BY).map((id) => [id, t(`map.by.${id}`)]),
    state.by, (id) => {
      state.by = id;
      colour(state, legend);
      draw();
    });
  const clear = button(t("map.clear"), { onclick: () => choose(state, board, null, draw) });
  watch(state, board, draw);
  const size = new ResizeObserver(draw);
  size.observe(canvas);
  const recolour = () => {
    colour(state, legend);
    draw();
  };
  addEventListener("themechange", recolour);
  const later = debounce(load, REFRESH_MS);
  const untold = onEvent((name) => isNews(name) && later());
  load();
  const page = h("div", { class: "map-page" },
    heading(t("nav.map"), by, redraw(load), clear),
    h("div", { class: "map-body" },
      h("div", { class: "map-stage" }, canvas, tip, legend), h("div", { class: "map-side" }, said, count, list)));
  return { page, leave: () => {
    untold();
    later.stop();
    size.disconnect();
    removeEventListener("themechange", recolour);
  } };
}

/** Makes the axes anew: only when asked, since every memory may be elsewhere then. */
function redraw(load) {
  const onclick = async () => {
    try {
      await post("/api/map/redraw");
      await load();
    } catch (error) {
      toast(error.message, { kind: "warn" });
    }
  };
  return button(t("map.redraw"), { onclick, title: t("map.redraw.hint") });
}

async function fetchPoints(state, board, draw) {
  try {
    const found = await get("/api/map", { namespace: namespace() });
    const kept = new Set([...(state.chosen ?? [])].map((index) => state.points[index].content_hash));
    state.points = found.points;
    state.hovered = -1;
    const chosen = state.points.flatMap((point, index) => (kept.has(point.content_hash) ? [index] : []));
    show(board.said, t("map.count", { shown: found.points.length, total: found.total }),
      found.axes.stale && h("strong", { class: "warn" }, ` ${t("map.stale", { count: found.axes.drawn_for })}`));
    colour(state, board.legend);
    choose(state, board, new Set(chosen), draw);
  } catch (error) {
    show(board.list, failure(error));
  }
}

/** Gives names colours: the most common ones get their own, the rest is grey. */
function colour(state, legend) {
  const groups = new Map();
  for (const point of state.points) {
    const name = BY[state.by](point);
    groups.set(name, (groups.get(name) ?? 0) + 1);
  }
  const common = [...groups].sort((a, b) => b[1] - a[1]).slice(0, LEGEND_COUNT);
  const light = isDark() ? 72 : 42;
  const start = hue(common[0]?.[0] ?? "");
  state.colours = new Map(common.map(([name], index) =>
    [name, `hsl(${Math.round(start + index * GOLDEN_ANGLE) % 360} ${isDark() ? 58 : 62}% ${light}%)`]));
  show(legend, common.map(([name, count]) => {
    const dot = h("i", {});
    dot.style.background = state.colours.get(name);
    return h("li", {}, dot, h("span", {}, name), h("span", { class: "count" }, String(count)));
  }));
}

/** Draws all points, and notes where on the canvas they are. */
function paint(canvas, state) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0) return;
  const ratio = devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const margin = 18;
  const across = ([x, y]) => [margin + ((x + 1) / 2) * (width - 2 * margin),
    margin + ((1 - y) / 2) * (height - 2 * margin)];
  state.places = state.points.map((point) => across([point.x, point.y]));
  const grey = token("--muted");
  const radius = Math.max(2.6, Math.min(6, Math.sqrt((width * height) / (state.points.length + 1)) / 8));
  state.points.forEach((point, index) => {
    const [x, y] = state.places[index];
    const dimmed = state.chosen && !state.chosen.has(index);
    context.globalAlpha = dimmed ? 0.16 : 0.82;
    context.fillStyle = state.colours?.get(BY[state.by](point)) ?? grey;
    context.beginPath();
    context.arc(x, y, index === state.hovered ? radius + 3 : radius, 0, 2 * Math.PI);
    context.fill();
  });
  context.globalAlpha = 1;
  if (state.line.length > 1) lasso(context, state.line);
}

function lasso(context, line) {
  context.beginPath();
  line.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.strokeStyle = token("--accent");
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.stroke();
  context.globalAlpha = 0.1;
  context.fillStyle = token("--accent");
  context.fill();
}

/** Pointer and keys: pointing shows a text, a click opens it, a drawn line chooses many. */
function watch(state, board, draw) {
  const { canvas, tip } = board;
  const at = (event) => [event.offsetX, event.offsetY];
  let drawing = false;
  const hover = (index) => {
    if (index === state.hovered) return;
    state.hovered = index;
    showTip(tip, state, index, canvas);
    draw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    state.line = [at(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drawing) {
      state.line.push(at(event));
      draw();
    } else hover(nearest(at(event), state.places, REACH));
  });
  canvas.addEventListener("pointerup", (event) => {
    drawing = false;
    const line = state.line;
    state.line = [];
    const found = nearest(at(event), state.places, REACH);
    const length = Math.max(...line.map(([x, y]) => Math.hypot(x - line[0][0], y - line[0][1])));
    if (length > REACH) choose(state, board, new Set(within(state, line)), draw);
    else if (found >= 0) go(memoryLink(state.points[found]));
    else choose(state, board, null, draw);
  });
  canvas.addEventListener("pointerleave", () => !drawing && hover(-1));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") choose(state, board, null, draw);
    if (event.key === "Enter" && state.hovered >= 0) go(memoryLink(state.points[state.hovered]));
    if (!step || state.points.length === 0) return;
    event.preventDefault();
    hover(next(state, step));
  });
  canvas.addEventListener("blur", () => hover(-1));
}

const within = (state, line) =>
  state.places.flatMap((place, index) => (inside(place, line) ? [index] : []));

/** The next point from left to right. */
function next(state, step) {
  const order = state.places.map((_, index) => index)
    .sort((a, b) => state.places[a][0] - state.places[b][0]);
  const at = order.indexOf(state.hovered);
  return order[(at + step + order.length) % order.length];
}

function showTip(tip, state, index, canvas) {
  tip.hidden = index < 0;
  const point = state.points[index];
  if (!point) return;
  canvas.setAttribute("aria-label", point.preview);
  show(tip, h("p", {}, point.preview),
    h("p", { class: "muted" }, [point.memory_type, ...point.tags.slice(0, 4), point.origin, day(point.created_at)]
      .filter(Boolean).join(" · ")));
  const [x, y] = state.places[index];
  const right = x > canvas.clientWidth / 2;
  tip.style.left = right ? "auto" : `${x + 14}px`;
  tip.style.right = right ? `${canvas.clientWidth - x + 14}px` : "auto";
  tip.style.top = `${Math.min(y + 8, canvas.clientHeight - 90)}px`;
}

/** Lists the chosen points; the newest of all while none are chosen. */
function choose(state, board, chosen, draw) {
  state.chosen = chosen && chosen.size > 0 ? chosen : null;
  const points = state.chosen ? [...state.chosen].map((index) => state.points[index]) : state.points;
  show(board.count, h("h2", {}, state.chosen ? t("map.chosen", { count: points.length }) : t("map.newest")));
  listPoints(board.list, [...points].sort((a, b) => b.created_at - a.created_at), LISTED_COUNT);
  draw();
}

/** Shows so many of the points, and a way to more. */
function listPoints(place, points, count) {
  if (points.length === 0) return show(place, empty(t("search.empty"), t("search.empty.hint")));
  const listed = points.slice(0, count).map((point) => ({ ...point, content: point.preview }));
  const more = () => {
    listPoints(place, points, count + LISTED_COUNT);
    place.querySelectorAll(".card-text")[count]?.focus();
  };
  return show(place, cards(listed, new Set(), t("map.list")),
    points.length > count && further(t("list.of", { shown: count, total: points.length }), more));
}
