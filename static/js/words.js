// Words of texts: to mark what was found, and to search when the node is away. Pure.

const WORD = /[\p{L}\p{N}]+/gu;
const ENDING = /(ings?|edly|ed|ies|es|en|er|ly|e|s|n)$/;
/** Words that nobody searches for. */
const COMMON = new Set(("a an and are as at be by can do der die das den dem ein eine for from has have i "
  + "ich in ist is it mit of on or that the this to und von was we what when where which who will "
  + "with wie zu").split(" "));

/** A word as it is compared: small, without accents and endings, of which it may have several. */
export function stem(word) {
  let stem = word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  for (;;) {
    const short = stem.replace(ENDING, "");
    if (short === stem || short.length < 3) return stem;
    stem = short;
  }
}

/** The words that a query is about. */
export function wanted(query) {
  const all = query.match(WORD) ?? [];
  const rare = all.filter((word) => !COMMON.has(word.toLowerCase()));
  return new Set((rare.length ? rare : all).map(stem));
}

/** A text in pieces, `[text, isMarked]`: those are marked that a query asks for. */
export function marked(text, words) {
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(WORD)) {
    if (!words.has(stem(match[0]))) continue;
    if (match.index > end) pieces.push([text.slice(end, match.index), false]);
    end = match.index + match[0].length;
    pieces.push([match[0], true]);
  }
  if (end < text.length) pieces.push([text.slice(end), false]);
  return pieces;
}

/** The start of a text, or the part around the first word that was found. */
export function excerpt(text, words, length = 420) {
  if (text.length <= length) return text;
  const first = [...text.matchAll(WORD)].find((match) => words.has(stem(match[0])));
  const from = Math.max(0, (first?.index ?? 0) - Math.floor(length / 3));
  const start = from === 0 ? 0 : text.indexOf(" ", from) + 1;
  const end = Math.min(text.length, start + length);
  return `${start ? "… " : ""}${text.slice(start, end)}${end < text.length ? " …" : ""}`;
}

/** Those of the memories that hold words of the query, the best first; rare words count more. */
export function ranked(memories, query, limit = 50) {
  const words = wanted(query);
  const held = memories.map((memory) =>
    new Set((`${memory.content} ${memory.tags.join(" ")}`.match(WORD) ?? []).map(stem)));
  const weight = new Map([...words].map((word) => {
    const count = held.filter((set) => set.has(word)).length;
    return [word, count ? Math.log(1 + memories.length / count) : 0];
  }));
  const total = [...weight.values()].reduce((sum, one) => sum + one, 0) || 1;
  const score = (set) =>
    [...words].reduce((sum, word) => sum + (set.has(word) ? weight.get(word) : 0), 0) / total;
  return memories
    .map((memory, place) => ({ memory, score: score(held[place]) }))
    .filter((hit) => hit.score > 0)
    .sort((a, b) => b.score - a.score || b.memory.created_at - a.memory.created_at)
    .slice(0, limit);
}
