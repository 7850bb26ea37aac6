// The service worker: keeps the page for when the node is away. What the page shows then is in
// IndexedDB (js/keep.js); calls to the API are never answered from here.

const CACHE = "shell-1";
const LIST = "/ui/assets.json";

async function fill() {
  const cache = await caches.open(CACHE);
  const list = await (await fetch(LIST, { cache: "no-cache" })).json();
  await cache.addAll(list.map((path) => new Request(path, { cache: "no-cache" })));
}

async function drop() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

// The node first, so that an upgrade shows at once; an unchanged file costs a line.
async function answer(request) {
  const cache = await caches.open(CACHE);
  const path = new URL(request.url).pathname;
  try {
    const fresh = await fetch(request);
    if (fresh.ok) await cache.put(path, fresh.clone());
    return fresh;
  } catch (away) {
    const kept = await cache.match(path);
    if (kept) return kept;
    throw away;
  }
}

self.addEventListener("install", (event) => event.waitUntil(fill().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(drop()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const ours = url.origin === self.location.origin;
  const shell = url.pathname === "/" || url.pathname.startsWith("/ui/");
  if (ours && shell && event.request.method === "GET") event.respondWith(answer(event.request));
});
