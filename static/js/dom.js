// Elements without a template language: nothing is ever parsed as HTML, so no text of a memory can
// become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Functions are listeners, `true` and `false` set and leave out attributes. */
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for pictures. */
export function s(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

const flat = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** Puts other children into an element. */
export function show(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Changes what is in an element, and leaves the focus on what is the same as before. */
export function steady(element, change) {
  const held = element.contains(document.activeElement) ? document.activeElement : null;
  const part = (one) => one.closest("[data-part]")?.dataset.part;
  const before = held && [held.className, held.getAttribute("href"), held.textContent, part(held)].join();
  change();
  if (!held || held.isConnected) return;
  const same = (one) =>
    [one.className, one.getAttribute("href"), one.textContent, part(one)].join() === before;
  [...element.querySelectorAll(held.localName)].find(same)?.focus({ preventScroll: true });
}

/** Calls later, once, after the last of many requests to. */
export function debounce(call, milliseconds) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), milliseconds);
  };
  later.now = (...values) => {
    clearTimeout(timer);
    return call(...values);
  };
  later.stop = () => clearTimeout(timer);
  return later;
}

/** The colour that a token of app.css stands for. */
export function token(name) {
  const probe = h("span", { class: "probe" });
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
