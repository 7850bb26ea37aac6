// Who may do what, and who did: API keys, limits, the audit log.

import { h, show } from "../dom.js";
import { number, t } from "../i18n.js";
import { get, key, post, send, write } from "../net.js";
import { askForm, button, field, further, grid, heading, loader, toast, when } from "../parts.js";
import { icon } from "../icons.js";

const PAGE_COUNT = 50;
const SCOPES = ["read", "write", "admin"];

/** The page. */
export function accessView() {
  const page = h("div", { class: "column wide" }, heading(t("nav.access")), keysPanel(),
    limitsPanel(), auditPanel());
  return { page };
}

const seconds = (iso) => Date.parse(iso) / 1000;

function keysPanel() {
  const place = h("div", { class: "keys" });
  const load = loader(place);
  let isFirst = false;
  const look = () => load(() => get("/api/admin/keys"), ({ keys }) => {
    isFirst = keys.length === 0;
    return keyTable(keys, look);
  });
  const make = async () => {
    const given = await askForm(t("keys.new"), keyFields(isFirst), t("keys.make"));
    if (!given) return;
    const days = Number(given.days);
    await act(async () => shown(await post("/api/admin/keys", {
      name: given.name,
      scopes: given.scopes.split(/[\s,]+/).filter(Boolean),
      expires_in_seconds: days > 0 ? days * 86400 : undefined,
    })), look);
  };
  look();
  return h("section", { class: "panel" },
    h("div", { class: "panel-head" }, h("h2", {}, t("keys.title")),
      button(t("keys.new"), { icon: "plus", kind: "primary", onclick: make })), place);
}

/** The first key closes the node to callers without one, so it had better be an administrator's. */
const keyFields = (isFirst) => [
  isFirst && h("p", {}, t("keys.first")),
  field(t("keys.name"), h("input", { name: "name", class: "input", required: true, maxlength: "100" })),
  field(t("keys.scopes"), h("input", { name: "scopes", class: "input", required: true,
    value: isFirst ? SCOPES[2] : SCOPES.slice(0, 2).join(", ") }), t("keys.scopes.hint")),
  field(t("keys.days"), h("input", { name: "days", class: "input", type: "number", min: "1",
    max: "36500" }), t("keys.days.hint")),
];

function keyTable(keys, look) {
  if (keys.length === 0) return h("p", { class: "muted" }, t("keys.none"));
  const kinds = { active: "good", expired: "warn", revoked: "" };
  const row = (one) => [
    h("strong", {}, one.name), h("code", {}, one.id), one.scopes.join(", "),
    h("span", { class: `badge ${kinds[one.status] ?? ""}` }, t(`keys.${one.status}`)),
    one.last_used_at_iso ? when(seconds(one.last_used_at_iso)) : t("keys.never"),
    one.expires_at_iso ? when(seconds(one.expires_at_iso)) : t("keys.never"),
    one.status !== "revoked" && h("div", { class: "tags" },
      button(t("keys.rotate"), { onclick: () => rotate(one, look), "aria-label": `${t("keys.rotate")}: ${one.name}` }),
      button(t("keys.revoke"), { onclick: () => revoke(one, look), "aria-label": `${t("keys.revoke")}: ${one.name}` })),
  ];
  return grid(t("keys.title"), [t("keys.name"), t("keys.id"), t("keys.scopes"), t("keys.status"),
    t("keys.used"), t("keys.ends"), t("keys.actions")], keys.map(row));
}

async function rotate(one, look) {
  const grace = h("input", { name: "grace", class: "input", type: "number", min: "0", max: "720",
    value: "24", required: true });
  const given = await askForm(`${t("keys.rotate")}: ${one.name}`,
    [field(t("keys.grace"), grace, t("keys.grace.hint"))], t("keys.rotate"));
  if (!given) return;
  await act(async () => shown(await post(`/api/admin/keys/${encodeURIComponent(one.id)}/rotate`,
    { grace_seconds: Number(given.grace) * 3600 })), look);
}

async function revoke(one, look) {
  const sure = await askForm(`${t("keys.revoke")}: ${one.name}`,
    [h("p", {}, t("keys.revoke.hint"))], t("keys.revoke"));
  if (!sure) return;
  await act(() => write({ method: "DELETE", path: `/api/admin/keys/${encodeURIComponent(one.id)}` }), look);
}

async function act(work, look) {
  try {
    await work();
  } catch (error) {
    toast(error.message, { kind: "warn" });
  }
  look();
}

/** Shows a secret, which the node does not keep, until it is closed. */
async function shown({ secret }) {
  const copy = () => navigator.clipboard?.writeText(secret).then(() => toast(t("keys.copied")), () => {});
  await askForm(t("keys.secret"), [h("p", {}, t("keys.secret.hint")),
    h("code", { class: "secret" }, secret), button(t("keys.copy"), { icon: "copy", onclick: copy })],
  t("action.close"));
}

function limitsPanel() {
  const place = h("div", { class: "limits" });
  const render = ({ budgets, tools = [], connections, overload }) => {
    const row = (name, { rate, burst }) => [name, rate ?? t("limits.none"),
      burst === null || burst === undefined ? "" : number(burst)];
    const atOnce = (name, count) => [t(`limits.${name}`), "", count === null ? t("limits.none") : number(count)];
    return grid(t("limits.title"), [t("limits.what"), t("limits.rate"), t("limits.burst")],
      [...budgets.map((one) => row(t(`limits.${one.name}`), one)),
        ...tools.map((one) => row(one.tool, one)),
        atOnce("connections.address", connections.address_count_max),
        atOnce("connections", connections.count_max),
        atOnce("model", overload.at_once_max),
        atOnce("waiting", overload.waiting_count_max)]);
  };
  loader(place)(() => get("/api/admin/limits"), render);
  return h("section", { class: "panel" }, h("h2", {}, t("limits.title")),
    h("p", { class: "muted" }, t("limits.hint")), place);
}

function auditPanel() {
  const place = h("div", { class: "audit" });
  const more = h("div", {});
  const load = loader(place);
  let query = {};
  let entries = [];
  const look = (cursor) => load(() => get("/api/admin/audit", { ...query, limit: PAGE_COUNT, cursor }),
    (page) => {
      entries = cursor ? [...entries, ...page.entries] : page.entries;
      const older = page.next_cursor && (() => look(page.next_cursor));
      show(more, older && further(t("list.shown", { shown: entries.length }), older, t("audit.older")));
      return auditTable(entries);
    });
  const onsubmit = (event) => {
    event.preventDefault();
    const { principal, refused } = Object.fromEntries(new FormData(event.target));
    query = { principal, refused: refused ? "true" : undefined };
    look();
  };
  const form = h("form", { class: "audit-form", onsubmit },
    field(t("audit.who"), h("input", { name: "principal", class: "input", id: "audit-who" })),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "refused" }),
      h("span", {}, t("audit.refused"))),
    h("button", { type: "submit", class: "button" }, t("audit.show")));
  look();
  return h("section", { class: "panel" },
    h("div", { class: "panel-head" }, h("h2", {}, t("audit.title")), exported()), form, place, more);
}

function auditTable(entries) {
  if (entries.length === 0) return h("p", { class: "muted" }, t("audit.none"));
  const row = (one) => [when(one.at), one.principal ?? t("audit.unknown"), one.operation,
    one.namespaces.join(", "), one.address ?? "",
    h("span", { class: `badge ${one.refused ? "warn" : one.outcome === "ok" ? "good" : ""}` }, one.outcome)];
  return grid(t("audit.title"), [t("memory.at"), t("audit.who"), t("audit.what"),
    t("audit.where"), t("audit.from"), t("audit.outcome")], entries.map(row));
}

function exported() {
  const path = "/api/admin/audit/export";
  const name = "memnode-audit.jsonl";
  // A link carries no credential of ours; with one, the answer goes through the page.
  const onclick = async (event) => {
    if (!key()) return;
    event.preventDefault();
    try {
      const url = URL.createObjectURL(await (await send(path)).blob());
      h("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    } catch (error) {
      toast(error.message, { kind: "warn" });
    }
  };
  return h("a", { class: "button", href: path, download: name, onclick }, icon("files"),
    h("span", {}, t("audit.export")));
}
