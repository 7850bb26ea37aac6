// Which page an address shows. Pages are in the part behind `#`, so the node serves one file.

/** The address as a list of names and a query. */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const names = path.split("/").filter(Boolean).map(decodeURIComponent);
  return { names, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Puts another query into the address of this page without leaving it. */
export function replaceQuery(query) {
  const given = Object.entries(query).filter(([, value]) => value);
  const text = given.length ? `?${new URLSearchParams(given)}` : "";
  const path = location.hash.split("?")[0] || "#/";
  history.replaceState(null, "", `${path}${text}`);
}

/** Goes to another page. */
export function go(address) {
  location.hash = address;
}
