// Writing: a new memory, and changes of one, which never overwrite what someone else changed.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { memoryPath } from "../net.js";
import { make } from "../outbox.js";
import { askForm, button, field, memoryLink, toast } from "../parts.js";
import { namespace } from "../settings.js";

/** The most that a memory holds, in bytes; the node checks. */
const CONTENT_MAX = 98304;

const tagsOf = (text) => text.split(",").map((tag) => tag.trim()).filter(Boolean);

const content = (value) => h("textarea", {
  name: "content", class: "input", rows: "6", required: true, maxlength: String(CONTENT_MAX), value,
});

const labels = (memory) => [
  field(t("memory.tags"), h("input", { name: "tags", class: "input", value: memory.tags.join(", ") }),
    t("memory.tags.hint")),
  field(t("memory.type"), h("input", {
    name: "memory_type", class: "input", value: memory.memory_type ?? "", maxlength: "100",
  })),
];

/** Asks for a new memory and stores it. */
export async function storeNew() {
  const fields = [field(t("memory.text"), content("")), labels({ tags: [] })];
  const given = await askForm(t("action.new"), fields, t("action.store"));
  if (!given) return;
  const body = {
    content: given.content, tags: tagsOf(given.tags), memory_type: given.memory_type || undefined,
    namespace: namespace() === "*" ? "default" : namespace(),
  };
  await store(body);
}

async function store(body) {
  try {
    const answer = await make("POST", "/api/memories", body);
    if (!answer) toast(t("offline.queued"));
    else if (!answer.success) toast(t("memory.duplicate"), { kind: "warn" });
    else toast(t("memory.stored"), {
      action: t("action.open"), onaction: () => { location.hash = memoryLink(answer.memory); },
    });
  } catch (error) {
    const again = error.code === "deleted_before" && {
      action: t("action.restore"), onaction: () => store({ ...body, restore_deleted: true }),
    };
    toast(error.message, { kind: "warn", ...again });
  }
}

/** What differs between a memory and the form; `metadata` is merged, so what went is null. */
function changes(memory, given) {
  const body = {};
  const tags = tagsOf(given.tags);
  if (given.content !== memory.content) body.content = given.content;
  if (tags.join() !== memory.tags.join()) body.tags = tags;
  if (given.memory_type !== (memory.memory_type ?? "")) body.memory_type = given.memory_type || null;
  const metadata = JSON.parse(given.metadata || "{}");
  const removed = Object.keys(memory.metadata).filter((key) => !(key in metadata));
  if (JSON.stringify(metadata) !== JSON.stringify(memory.metadata)) {
    body.metadata = { ...metadata, ...Object.fromEntries(removed.map((key) => [key, null])) };
  }
  return body;
}

/** The form that changes a memory. */
export function editor(memory, { saved, cancelled, reload }) {
  const metadata = h("textarea", {
    name: "metadata", class: "input code", rows: "4", spellcheck: "false",
    value: JSON.stringify(memory.metadata, null, 2),
    oninput: () => metadata.setCustomValidity(""),
  });
  const onsubmit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    let body;
    try {
      body = changes(memory, given);
    } catch {
      metadata.setCustomValidity(t("memory.metadata.bad"));
      metadata.reportValidity();
      return;
    }
    if (Object.keys(body).length === 0) return cancelled();
    await save(memory, body, { saved, reload });
  };
  return h("form", { class: "form", onsubmit },
    field(t("memory.text"), content(memory.content)), labels(memory),
    field(t("memory.metadata"), metadata, t("memory.metadata.hint")),
    h("div", { class: "actions" }, button(t("action.cancel"), { onclick: cancelled }),
      h("button", { class: "button primary", type: "submit" }, t("action.save"))));
}

async function save(memory, body, { saved, reload }) {
  try {
    const answer = await make("PUT", memoryPath(memory), body, { "if-match": `"${memory.version}"` });
    toast(answer ? t("memory.saved") : t("offline.queued"));
    saved(answer?.memory);
  } catch (error) {
    const stale = error.status === 412;
    toast(stale ? t("memory.changed") : error.message,
      { kind: "warn", action: stale && t("action.reload"), onaction: reload });
  }
}
