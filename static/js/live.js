// The stream of changes: one connection for the whole page.

import { key, onConnection, post, setOnline } from "./net.js";

const CHANGES = ["memory_stored", "memory_updated", "memory_deleted"];
const OTHERS = ["connection_established", "backup_status", "sync_progress", "sync_completed",
  "health_update", "heartbeat"];
/** How long until a stream that the node refused is asked for again. */
const RETRY_MS = 1500;

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
      tell(name, JSON.parse(event.data));
    });
  }
}

function again() {
  source?.close();
  source = null;
  clearTimeout(timer);
  timer = setTimeout(connect, RETRY_MS);
}

onConnection((online) => {
  if (online && state !== "live" && source === null) connect();
});
