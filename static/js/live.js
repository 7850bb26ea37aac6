// The stream of changes: one connection for the whole page.

import { key, onConnection, post, setOnline } from "./net.js";

const CHANGES = ["memory_stored", "memory_updated", "memory_deleted"];
const OTHERS = ["connection_established", "backup_status", "sync_progress", "sync_completed",
  "health_update", "heartbeat"];
/** How long until a stream that the node refused is asked for again. */
const RETRY_MS = 1500;

/** How long a page that nobody sees goes on listening. */
const HIDDEN_MS = 30000;

const listeners = new Set();
let source = null;
let timer = 0;
let last = null;
let state = "connecting";

/** Calls back with each event: its name, its data, and when it came; until what this gives is
 *  called. */
export function onEvent(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether an event is a change of a memory. */
export const isChange = (name) => CHANGES.includes(name);

/** Whether what is shown may be old: something changed, or so much that the stream gave up. */
export const isNews = (name) => isChange(name) || name === "reset";

/** `live`, `connecting` or `refused`. */
export const liveState = () => state;

const tell = (name, data) => {
  const at = Date.now();
  for (const listener of listeners) listener(name, data, at);
};

function become(next) {
  if (next === state) return;
  state = next;
  tell("state", { state });
}

/** Opens the stream, and opens it again whenever it ends for good. */
export async function connect() {
  clearTimeout(timer);
  source?.close();
  const query = new URLSearchParams({ namespace: "*" });
  try {
    // An EventSource sends no credentials of ours: a ticket stands for them, once.
    if (key()) query.set("ticket", (await post("/api/events/ticket")).ticket);
  } catch {
    again();
    return;
  }
  if (last) query.set("last_event_id", last);
  source = new EventSource(`/api/events?${query}`);
  source.onopen = () => {
    setOnline(true);
    become("live");
  };
  source.onerror = () => {
    become("connecting");
    // The browser tries again by itself, and says where it was, unless it was refused; a ticket
    // is good for one try.
    if (source.readyState === EventSource.CLOSED || key()) again();
  };
  for (const name of [...CHANGES, ...OTHERS]) {
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      const data = JSON.parse(event.data);
      tell(name, data);
      if (data.replay?.status === "reset") tell("reset", data);
    });
  }
}

function again() {
  source?.close();
  source = null;
  clearTimeout(timer);
  timer = setTimeout(connect, RETRY_MS);
}

// A browser holds six connections to a node, over all its tabs: one that nobody looks at gives its
// own back, and asks for what it missed when it is looked at again.
let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(rest, HIDDEN_MS);
  else if (!source) connect();
});

function rest() {
  clearTimeout(timer);
  source?.close();
  source = null;
  become("connecting");
}

onConnection((online) => {
  if (online && state !== "live" && source === null && !document.hidden) connect();
});
