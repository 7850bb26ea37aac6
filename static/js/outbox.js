// Writes: sent at once, or kept until the node is back. Each has an idempotency key, so that one
// whose answer was lost is not made twice.

import { queue, unqueue, waiting } from "./keep.js";
import { Away, isOnline, onConnection, Problem, write } from "./net.js";

const listeners = new Set();
let sending = false;

/** Calls back with the number of writes that wait, and with what came of one that was sent. */
export function onOutbox(listener) {
  listeners.add(listener);
}

const tell = async (result) => {
  const count = (await waiting()).length;
  for (const listener of listeners) listener(count, result);
};

/** Makes a write. Gives the answer, or `null` when it waits for the node.
 *  @throws Problem when the node refuses it. */
export async function make(method, path, body, headers = {}) {
  const request = {
    method, path, body, headers: { ...headers, "idempotency-key": crypto.randomUUID() },
  };
  try {
    return await write(request);
  } catch (error) {
    if (!(error instanceof Away)) throw error;
    await queue(request);
    await tell();
    return null;
  }
}

/** Sends what waits, one after the other. What the node refuses is told and dropped. */
export async function flush() {
  if (sending || !isOnline()) return;
  sending = true;
  try {
    for (const request of await waiting()) {
      let result = { request };
      try {
        result.answer = await write(request);
      } catch (error) {
        if (!(error instanceof Problem) || error.status >= 500) return;
        result.error = error;
      }
      await unqueue(request.n);
      await tell(result);
    }
  } finally {
    sending = false;
  }
}

/** Starts to look after the writes that wait. */
export async function start() {
  onConnection((online) => online && flush());
  await tell().catch(() => {});
  await flush().catch(() => {});
}
