// What a person chose for this browser: theme, language, namespace.

const read = (name) => {
  try {
    return localStorage.getItem(`memnode.${name}`);
  } catch {
    return null; // A browser that keeps nothing still shows everything.
  }
};

/** What was chosen, or the other value. */
export function chosen(name, otherwise) {
  return read(name) ?? otherwise;
}

/** Remembers a choice; `null` forgets it. */
export function choose(name, value) {
  try {
    if (value === null) localStorage.removeItem(`memnode.${name}`);
    else localStorage.setItem(`memnode.${name}`, value);
  } catch {
    // As above.
  }
}

/** Sets the theme that was chosen, if one was; app.css follows the system otherwise. */
export function applyTheme() {
  const theme = chosen("theme", null);
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

/** Whether the page is dark now. */
export function isDark() {
  const theme = chosen("theme", null);
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The namespaces that reads are about: one name, or `*`. */
export const namespace = () => chosen("namespace", "default");
