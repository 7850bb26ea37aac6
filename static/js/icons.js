// Line icons on a grid of 24, drawn with the colour of the text around them.

import { s } from "./dom.js";

const PATHS = {
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16.2 16.2 21 21",
  overview: "M4 20V11M10 20V4M16 20v-7M22 20H2",
  map: "M6 7h.01M17 5h.01M12 12h.01M7 17h.01M18 16h.01M10 4h.01M20 10h.01M4 12h.01M13 19h.01",
  live: "M3 12h4l3-8 4 16 3-8h4",
  cluster: "M12 3a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM5 16a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM19 16a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM11 8l-5 8M13 8l5 8M7.500 18.500h9",
  access: "M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11 12l9-9M16 7l3 3M13.500 9.500l2 2",
  files: "M12 3v12M7 10l5 5 5-5M4 20h16",
  plus: "M12 5v14M5 12h14",
  pause: "M8 5v14M16 5v14",
  play: "M7 4l12 8-12 8z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600 19 19M5 19l1.400-1.400M17.600 6.400 19 5",
  moon: "M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  near: "M9 12a3 3 0 1 0 6 0 3 3 0 0 0-6 0M12 3a9 9 0 1 0 9 9",
  close: "M6 6l12 12M18 6 6 18",
  warn: "M12 4 2.500 20h19zM12 10v4M12 17h.01",
  ok: "M5 13l4 4L19 7",
  upload: "M12 16V4M7 9l5-5 5 5M4 20h16",
  shield: "M12 3l8 3v6c0 5-3.500 8-8 9-4.500-1-8-4-8-9V6z",
  back: "M15 5l-7 7 7 7",
};

/** An icon that says nothing of its own to screen readers. */
export function icon(name) {
  const attributes = { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true" };
  return s("svg", attributes, s("path", { d: PATHS[name] }));
}
