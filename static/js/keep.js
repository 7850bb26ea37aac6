// What this browser keeps for when the node is away: the last memories seen, and writes to send.

/** How many memories are kept. */
export const KEPT_MAX = 1000;
const NAME = "memnode";

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      const seen = request.result.createObjectStore("seen", { keyPath: ["namespace", "content_hash"] });
      seen.createIndex("seen_at", "seen_at");
      request.result.createObjectStore("outbox", { keyPath: "n", autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function store(name, mode) {
  return (await open()).transaction(name, mode).objectStore(name);
}

/** Keeps memories that were shown; the oldest go when there are too many. */
export async function keep(memories) {
  try {
    const seen = await store("seen", "readwrite");
    const now = Date.now();
    memories.forEach((memory, place) => seen.put({ ...memory, seen_at: now + place / 1000 }));
    const surplus = (await asked(seen.count())) - KEPT_MAX;
    if (surplus > 0) {
      const oldest = await asked(seen.index("seen_at").getAllKeys(null, surplus));
      oldest.forEach((key) => seen.delete(key));
    }
  } catch {
    // A browser that keeps nothing, as some do in private windows: the page works all the same.
  }
}

/** Forgets a memory that is gone. */
export async function drop(namespace, hash) {
  try {
    (await store("seen", "readwrite")).delete([namespace, hash]);
  } catch {
    // As above.
  }
}

/** Everything that is kept, the last seen first. */
export async function kept() {
  const all = await asked((await store("seen", "readonly")).index("seen_at").getAll());
  return all.reverse();
}

/** One kept memory. */
export const keptOne = async (namespace, hash) =>
  asked((await store("seen", "readonly")).get([namespace, hash]));

/** Writes that wait for the node, in the order in which they were made. */
export const waiting = async () => asked((await store("outbox", "readonly")).getAll());

/** Lets a write wait. */
export const queue = async (write) => asked((await store("outbox", "readwrite")).add(write));

/** A write that waited was answered. */
export const unqueue = async (n) => asked((await store("outbox", "readwrite")).delete(n));
