// Parts that several pages show.

import { h, show, steady } from "./dom.js";
import { ago, dateTime, t } from "./i18n.js";
import { icon } from "./icons.js";
import { marked } from "./words.js";

/** Where a memory's own page is. */
export const memoryLink = ({ namespace, content_hash: hash }) =>
  `#/memory/${encodeURIComponent(namespace)}/${hash}`;

/** Where a search is. */
export const searchLink = (query) => `#/?${new URLSearchParams(query)}`;

/** A tag that leads to everything that carries it. */
export const tagLink = (tag, count) =>
  h("a", { class: "tag", href: searchLink({ tag }) }, tag,
    count !== undefined && h("span", { class: "count" }, String(count)));

/** How long ago, the exact time at hand. */
export const when = (seconds) =>
  h("time", { datetime: new Date(seconds * 1000).toISOString(), title: dateTime(seconds) },
    ago(seconds));

/** A text with the words of a query marked. */
export const text = (content, words) =>
  marked(content, words).map(([piece, hit]) => (hit ? h("mark", {}, piece) : piece));

/** A button with an icon. Without a visible label it still has a name. */
export function button(label, { icon: name, onclick, kind = "", bare = false, ...rest }) {
  const attributes = { type: "button", class: `button ${kind} ${bare ? "bare" : ""}`, onclick, ...rest };
  if (bare) Object.assign(attributes, { "aria-label": label, title: label });
  return h("button", attributes, name && icon(name), !bare && h("span", {}, label));
}

/** What a page says when there is nothing to show. */
export const empty = (title, hint) =>
  h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), hint && h("p", {}, hint));

/** What a page says when a call failed. */
export const failure = (error) =>
  h("div", { class: "notice warn", role: "alert" }, icon("warn"), h("p", {}, error.message));

/** The head of a page. */
export const heading = (title, ...beside) =>
  h("div", { class: "heading" }, h("h1", {}, title), h("div", { class: "beside" }, beside));

/** A table in a frame that scrolls by itself. */
export const grid = (label, heads, rows) =>
  h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell)))))));

/** The end of a list that may go on: how much of it is shown, and what shows more. */
export const further = (said, onmore, label = t("action.more")) =>
  h("div", { class: "further" }, h("p", { class: "muted" }, said),
    onmore && button(label, { onclick: onmore }));

/** Says something at the edge of the page for a while, with something to do about it. */
export function toast(message, { action, onaction, kind = "", ms = 7000 } = {}) {
  const close = () => note.remove();
  const act = () => {
    close();
    onaction();
  };
  const note = h("div", { class: `toast ${kind}` }, h("p", {}, message),
    action && h("button", { type: "button", class: "link", onclick: act }, action),
    button(t("action.close"), { icon: "close", bare: true, onclick: close }));
  document.getElementById("toasts").append(note);
  setTimeout(() => note.matches(":focus-within, :hover") || close(), ms);
}

/** Asks in a dialog; gives what the form holds, or `null` when it was closed. */
export function askForm(title, fields, submit) {
  return new Promise((resolve) => {
    let given = null;
    const onsubmit = (event) => {
      event.preventDefault();
      given = Object.fromEntries(new FormData(event.target));
      dialog.close();
    };
    const cancel = button(t("action.cancel"), { onclick: () => dialog.close() });
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
      h("form", { class: "form", onsubmit }, h("h2", { id: "dialog-title" }, title), fields,
        h("div", { class: "actions" }, cancel,
          h("button", { class: "button primary", type: "submit" }, submit))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(given);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A field of a form with its label. */
export const field = (label, control, hint) =>
  h("label", { class: "field" }, h("span", { class: "label" }, label), control,
    hint && h("span", { class: "hint" }, hint));

/** A choice of a few, as a row of radio buttons. */
export function segments(name, label, choices, value, onchoose) {
  const choice = ([id, title]) => h("label", {},
    h("input", { type: "radio", name, value: id, checked: id === value, onchange: () => onchoose(id) }),
    h("span", {}, title));
  return h("fieldset", { class: "segments" }, h("legend", { class: "hidden" }, label),
    choices.map(choice));
}

/** Shows something that takes a moment; the last call wins. */
export function loader(place) {
  let turn = 0;
  return async (work, render) => {
    turn += 1;
    const mine = turn;
    place.setAttribute("aria-busy", "true");
    try {
      const found = await work();
      if (mine === turn) steady(place, () => show(place, render(found)));
    } catch (error) {
      if (mine === turn && error.name !== "AbortError") show(place, failure(error));
    } finally {
      if (mine === turn) place.removeAttribute("aria-busy");
    }
  };
}
