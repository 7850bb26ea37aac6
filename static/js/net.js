// Calls to the API: credentials, errors, and whether the node can be reached.

import { t } from "./i18n.js";

const KEY = "memnode.key";
/** How often a node that is away is looked for. */
const LOOK_MS = 2000;

/** An answer that is a failure. */
export class Problem extends Error {
  constructor(status, body) {
    super(typeof body.detail === "string" ? body.detail : (body.title ?? `${status}`));
    this.status = status;
    this.code = body.code;
  }
}

/** The node cannot be reached. */
export class Away extends Error {
  constructor() {
    super(t("offline.away"));
  }
}

const listeners = new Set();
let online = navigator.onLine;
let looking = 0;
let ask = null;

/** Whether the last call reached the node. */
export const isOnline = () => online;

/** Calls back when the node goes and when it comes back, until what this gives is called. */
export function onConnection(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tells whom to ask for the API key when a call is refused without one. */
export function onKeyWanted(asker) {
  ask = asker;
}

/** The API key of this tab, if one was given. */
export const key = () => sessionStorage.getItem(KEY);

/** Notes whether the node answers; while it does not, looks for it. */
export function setOnline(value) {
  if (!value && !looking) looking = setInterval(look, LOOK_MS);
  if (value && looking) {
    clearInterval(looking);
    looking = 0;
  }
  if (value === online) return;
  online = value;
  for (const listener of listeners) listener(online);
}

async function look() {
  try {
    const answer = await fetch("/api/health", { cache: "no-store" });
    if (answer.ok) setOnline(true);
  } catch {
    // Still away.
  }
}

addEventListener("online", look);
addEventListener("offline", () => setOnline(false));

const headersOf = (headers) => {
  const all = new Headers(headers);
  if (key()) all.set("authorization", `Bearer ${key()}`);
  return all;
};

/** Sends a request; asks for a key once when one is needed.
 *  @throws Problem for a failure, Away when there is no answer. */
export async function send(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headersOf(options.headers) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    setOnline(false);
    throw new Away();
  }
  setOnline(true);
  if (answer.status === 401 && ask) {
    sessionStorage.setItem(KEY, await ask(key() !== null));
    return send(path, options);
  }
  if (answer.ok) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

const asJson = (method, body, headers, signal) => ({
  method, signal,
  body: body === undefined ? undefined : JSON.stringify(body),
  headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
});

const withQuery = (path, query) => {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
};

/** Reads JSON. */
export const get = async (path, query, signal) =>
  (await send(withQuery(path, query), { signal })).json();

/** Sends JSON and reads JSON. */
export const post = async (path, body, { query, headers, signal } = {}) =>
  (await send(withQuery(path, query), asJson("POST", body, headers, signal))).json();

/** Any call of a write: what it was and what came back. */
export async function write({ method, path, body, headers }) {
  const answer = await send(path, asJson(method, body, headers));
  return answer.json();
}

/** The path of a memory in the API. */
export const memoryPath = (memory, rest = "") =>
  `/api/memories/${memory.content_hash}${rest}?namespace=${encodeURIComponent(memory.namespace)}`;
