// Memories in and out: import of files, export, backup.

import { h, show } from "../dom.js";
import { bytes, number, t } from "../i18n.js";
import { icon } from "../icons.js";
import { onEvent } from "../live.js";
import { get, key, post, send } from "../net.js";
import { button, failure, heading, toast, when } from "../parts.js";
import { namespace } from "../settings.js";

/** Lines that are sent together, so that progress shows and one bad network costs little. */
const CHUNK_COUNT = 200;
/** The largest text that is one memory. */
const TEXT_BYTES_MAX = 98304;

/** The page. */
export function filesView() {
  const { panel, leave } = backupPanel();
  const page = h("div", { class: "column wide" }, heading(t("nav.files")),
    h("div", { class: "two" }, importPanel(), exportPanel()), panel);
  return { page, leave };
}

/** The lines of a file: one each of JSON lines, those of a JSON list, or the text as a whole. */
async function linesOf(file) {
  const content = await file.text();
  if (/\.(jsonl|ndjson)$/i.test(file.name)) return content.split("\n").filter((line) => line.trim());
  if (/\.json$/i.test(file.name)) {
    const parsed = JSON.parse(content);
    const list = Array.isArray(parsed) ? parsed : (parsed.memories ?? [parsed]);
    return list.map((one) => JSON.stringify(one));
  }
  if (file.size > TEXT_BYTES_MAX) throw new Error(t("import.long", { name: file.name }));
  return [JSON.stringify({ content, tags: [], metadata: { source: file.name } })];
}

async function importLines(lines, told) {
  const sum = { stored: 0, duplicate: 0, failed: 0, first: null };
  for (let at = 0; at < lines.length; at += CHUNK_COUNT) {
    const body = lines.slice(at, at + CHUNK_COUNT).join("\n");
    const scope = namespace() === "*" ? "default" : namespace();
    const answer = await send(`/api/import?results=failed&namespace=${scope}`,
      { method: "POST", headers: { "content-type": "application/x-ndjson" }, body });
    const told_lines = (await answer.text()).trim().split("\n").map((line) => JSON.parse(line));
    const summary = told_lines.pop();
    sum.stored += summary.stored ?? 0;
    sum.failed += summary.failed ?? 0;
    sum.duplicate += Math.min(CHUNK_COUNT, lines.length - at) - (summary.stored ?? 0) - (summary.failed ?? 0);
    sum.first ??= told_lines[0]?.detail ?? told_lines[0]?.message ?? null;
    told(Math.min(lines.length, at + CHUNK_COUNT));
  }
  return sum;
}

function importPanel() {
  const said = h("div", { class: "said", "aria-live": "polite" });
  const take = async (files) => {
    const bar = h("progress", { max: "1", value: "0", "aria-label": t("import.title") });
    show(said, bar);
    try {
      const lines = (await Promise.all([...files].map(linesOf))).flat();
      bar.max = lines.length;
      const count = h("span", { class: "muted" });
      said.append(count);
      const sum = await importLines(lines, (done) => {
        bar.value = done;
        show(count, `${number(done)} / ${number(lines.length)}`);
      });
      show(said, h("p", { class: sum.failed ? "warn" : "good" }, icon(sum.failed ? "warn" : "ok"),
        t("import.done", sum)), sum.first && h("p", { class: "muted" }, String(sum.first)));
    } catch (error) {
      show(said, failure(error));
    }
  };
  const input = h("input", { type: "file", id: "import-file", class: "hidden", multiple: true,
    accept: ".json,.jsonl,.ndjson,.txt,.md", onchange: (event) => take(event.target.files) });
  const over = (on) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", on);
  };
  const ondrop = (event) => {
    over(false)(event);
    take(event.dataTransfer.files);
  };
  const zone = h("label", { class: "drop", for: "import-file", ondragover: over(true),
    ondragleave: over(false), ondrop }, icon("upload"), h("span", {}, t("import.drop")),
    h("span", { class: "muted" }, t("import.kinds")), input);
  return h("section", { class: "panel" }, h("h2", {}, t("import.title")), zone, said);
}

function exportPanel() {
  const name = "memnode-export.jsonl";
  const path = `/api/export?namespace=${encodeURIComponent(namespace())}`;
  // A link carries no credential of ours; with one, the answer goes through the page.
  const fetched = async (event) => {
    if (!key()) return;
    event.preventDefault();
    try {
      const url = URL.createObjectURL(await (await send(path)).blob());
      const link = h("a", { href: url, download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    } catch (error) {
      toast(error.message, { kind: "warn" });
    }
  };
  return h("section", { class: "panel" }, h("h2", {}, t("export.title")), h("p", {}, t("export.hint")),
    h("a", { class: "button", href: path, download: name, onclick: fetched }, icon("files"),
      h("span", {}, t("export.start"))));
}

function backupPanel() {
  const status = h("div", {});
  const progress = h("div", { class: "said", "aria-live": "polite" });
  const look = async () => {
    try {
      const [found, list] = await Promise.all([get("/api/backup/status"), get("/api/backup/list")]);
      show(status, backups(found, list.backups));
    } catch (error) {
      show(status, failure(error));
    }
  };
  const start = async () => {
    show(progress, h("progress", { "aria-label": t("backup.title") }), h("span", { class: "muted" }));
    try {
      const made = await post("/api/backup/now");
      show(progress, made.success
        ? h("p", { class: "good" }, icon("ok"), t("backup.done", { name: made.filename, size: bytes(made.size_bytes) }))
        : failure(new Error(made.error)));
    } catch (error) {
      show(progress, failure(error));
    }
    look();
  };
  const leave = onEvent((name, data) => {
    if (name !== "backup_status" || !data.bytes_total) return;
    const bar = progress.querySelector("progress");
    if (!bar) return;
    bar.max = data.bytes_total;
    bar.value = data.bytes_done;
    show(bar.nextSibling, `${bytes(data.bytes_done)} / ${bytes(data.bytes_total)}`);
  });
  look();
  const panel = h("section", { class: "panel" },
    h("div", { class: "panel-head" }, h("h2", {}, t("backup.title")),
      button(t("backup.now"), { icon: "shield", kind: "primary", onclick: start })), progress, status);
  return { panel, leave };
}

function backups(found, list) {
  const row = (one) => h("tr", {}, h("td", {}, h("code", {}, one.filename)),
    h("td", {}, bytes(one.size_bytes)), h("td", {}, when(seconds(one.created_at))));
  return [
    h("p", { class: "muted" }, t("backup.status", {
      count: found.backup_count, size: bytes(found.total_size_bytes), where: found.backup_directory,
    })),
    list.length > 0 && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("backup.list") },
      h("table", {}, h("thead", {}, h("tr", {},
        [t("backup.file"), t("backup.size"), t("memory.at")].map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, list.map(row)))),
  ];
}

const seconds = (time) => (typeof time === "number" ? time : Date.parse(time) / 1000);
