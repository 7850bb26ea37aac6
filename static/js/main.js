// Starts the page: texts, theme, navigation, the pages by address, the stream, the service worker.

import { h, show } from "./dom.js";
import { current, LANGUAGES, loadTexts, t } from "./i18n.js";
import { icon } from "./icons.js";
import { connect, liveState, onEvent } from "./live.js";
import { get, isOnline, onConnection, onKeyWanted } from "./net.js";
import { onOutbox, start } from "./outbox.js";
import { askForm, button, empty, field, toast } from "./parts.js";
import { here } from "./router.js";
import { applyTheme, choose, isDark, namespace } from "./settings.js";
import { accessView } from "./views/access.js";
import { clusterView } from "./views/cluster.js";
import { storeNew } from "./views/editor.js";
import { feedView } from "./views/feed.js";
import { filesView } from "./views/files.js";
import { mapView } from "./views/map.js";
import { memoryView } from "./views/memory.js";
import { overviewView } from "./views/overview.js";
import { searchView } from "./views/search.js";

const PAGES = [["", "search"], ["overview", "overview"], ["map", "map"], ["live", "live"],
  ["cluster", "cluster"], ["access", "access"], ["files", "files"]];

const main = document.getElementById("main");
let shown = null;
let waiting = 0;

function viewOf({ names, query }) {
  const [page = "", ...rest] = names;
  switch (page) {
    case "": return searchView(query);
    case "overview": return overviewView();
    case "map": return mapView();
    case "live": return feedView();
    case "cluster": return clusterView();
    case "access": return accessView();
    case "files": return filesView();
    case "memory": return memoryView({ namespace: rest[0] ?? "default", content_hash: rest[1] ?? "" });
    default: return { page: empty(t("page.unknown")) };
  }
}

function render() {
  shown?.leave?.();
  const place = here();
  shown = viewOf(place);
  show(main, shown.page);
  const page = place.names[0] ?? "";
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const name = PAGES.find(([path]) => path === page)?.[1];
  document.title = name ? `${t(`nav.${name}`)} · memnode` : "memnode";
  scrollTo(0, 0);
}

function showShell() {
  const link = ([path, name]) => h("a", { href: `#/${path}`, "data-page": path },
    icon(name), h("span", {}, t(`nav.${name}`)));
  show(document.getElementById("skip"), t("nav.skip"));
  const nav = document.getElementById("nav");
  nav.setAttribute("aria-label", t("nav.label"));
  show(nav, PAGES.map(link));
  const add = button(t("action.new"), { icon: "plus", kind: "primary new", onclick: storeNew });
  const languages = Object.entries(LANGUAGES).map(([id, name]) =>
    h("option", { value: id, lang: id, selected: id === current() }, name));
  const onchange = (event) => {
    choose("language", event.target.value);
    location.reload();
  };
  show(document.getElementById("foot"), add, h("div", { id: "namespaces", hidden: true }),
    h("div", { class: "status", id: "status", role: "status" }),
    h("div", { class: "choices" },
      h("select", { class: "input", "aria-label": t("choose.language"), onchange }, languages),
      themeButton()));
  showStatus();
}

/** Lets a namespace be chosen where there are several. */
async function showNamespaces() {
  const { namespaces } = await get("/api/analytics/overview", { namespace: "*" });
  const names = new Set([...namespaces.map((one) => one.namespace), "default", namespace()]);
  names.delete("*");
  if (names.size < 2) return;
  const onchange = (event) => {
    choose("namespace", event.target.value);
    render();
  };
  const option = (id, label) => h("option", { value: id, selected: id === namespace() }, label);
  const select = h("select", { class: "input", "aria-label": t("choose.namespace"), onchange },
    option("*", t("choose.all")), [...names].sort().map((name) => option(name, name)));
  const place = show(document.getElementById("namespaces"), select);
  place.hidden = false;
}

function themeButton() {
  const place = h("span", {});
  const view = () => show(place, button(t(isDark() ? "choose.light" : "choose.dark"), {
    icon: isDark() ? "sun" : "moon", bare: true,
    onclick: () => {
      choose("theme", isDark() ? "light" : "dark");
      applyTheme();
      view();
      place.firstChild.focus();
      dispatchEvent(new Event("themechange"));
    },
  }));
  view();
  return place;
}

function showStatus() {
  const online = isOnline();
  const name = !online ? "offline" : liveState();
  document.documentElement.classList.toggle("offline", !online);
  show(document.getElementById("status"),
    h("span", { class: `live-state ${name}` }, h("i", {}), h("span", {}, t(`status.${name}`))),
    waiting > 0 && h("span", { class: "badge warn" }, t("offline.waiting", { count: waiting })));
}

async function askKey(wasWrong) {
  const input = h("input", { name: "key", type: "password", class: "input", required: true,
    autocomplete: "off" });
  const hint = t(wasWrong ? "key.wrong" : "key.hint");
  for (;;) {
    const given = await askForm(t("key.title"), [field(t("key.label"), input, hint)], t("key.use"));
    if (given) return given.key;
  }
}

/** One question at a time, however many calls were refused. */
let asking = null;
onKeyWanted((wasWrong) => {
  asking ??= askKey(wasWrong).finally(() => { asking = null; });
  return asking;
});

function onKey(event) {
  if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey) return;
  if (event.key === "/") {
    event.preventDefault();
    const query = document.getElementById("query");
    if (query) query.focus();
    else {
      location.hash = "#/";
      setTimeout(() => document.getElementById("query")?.focus());
    }
  }
}

function tellOutbox(count, result) {
  waiting = count;
  showStatus();
  if (result?.error) toast(t("offline.refused", { reason: result.error.message }), { kind: "warn" });
  else if (result && count === 0) toast(t("offline.sent"));
}

applyTheme();
await loadTexts();
showShell();
render();
addEventListener("hashchange", () => {
  render();
  // Whoever reads by ear hears of the new page.
  main.focus({ preventScroll: true });
});
addEventListener("keydown", onKey);
onConnection(showStatus);
onEvent((name) => name === "state" && showStatus());
onOutbox(tellOutbox);
start();
connect();
showNamespaces().catch(() => {});
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/ui/sw.js", { scope: "/" }).catch(() => {});
}
