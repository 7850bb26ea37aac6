// Texts of the page in the language of the person, from one plain JSON file each.

import { chosen } from "./settings.js";

export const LANGUAGES = { en: "English", de: "Deutsch" };

let texts = {};
let language = "en";

/** Loads the chosen language, else the first of the browser's that there is, else English. */
export async function loadTexts() {
  const wanted = [chosen("language", null), ...navigator.languages].filter(Boolean);
  const known = wanted.map((name) => name.slice(0, 2)).find((name) => name in LANGUAGES);
  language = known ?? "en";
  texts = await (await fetch(`/ui/lang/${language}.json`)).json();
  document.documentElement.lang = language;
}

/** The language that the page speaks. */
export const current = () => language;

/** A text, its `{names}` replaced. With `count`, in the form that the language has for it. */
export function t(key, values = {}) {
  let text = texts[key];
  if (values.count !== undefined) {
    const form = new Intl.PluralRules(language).select(values.count);
    text = texts[`${key}.${form}`] ?? texts[`${key}.other`] ?? text;
  }
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) =>
    typeof values[name] === "number" ? number(values[name]) : (values[name] ?? whole));
}

/** A number as people of the language write it. */
export const number = (value, options) => new Intl.NumberFormat(language, options).format(value);

/** Bytes for people. */
export function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return number(count, {
    style: "unit", unit: units[unit], unitDisplay: "short", maximumFractionDigits: unit ? 1 : 0,
  });
}

/** A day and time, from seconds since 1970. */
export const dateTime = (seconds) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" })
    .format(seconds * 1000);

/** A day, from `2026-11-22` or seconds since 1970. */
export function day(value, options = { dateStyle: "medium" }) {
  const when = typeof value === "number" ? new Date(value * 1000) : new Date(`${value}T12:00`);
  return new Intl.DateTimeFormat(language, options).format(when);
}

const STEPS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400],
  ["hour", 3600], ["minute", 60]];

/** How long ago, from seconds since 1970. */
export function ago(seconds) {
  const past = Date.now() / 1000 - seconds;
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  const step = STEPS.find(([, length]) => Math.abs(past) >= length);
  return step ? format.format(-Math.trunc(past / step[1]), step[0]) : t("time.now");
}

/** How long something took or lags, from milliseconds. */
export function duration(ms) {
  const unit = (value, name, digits) =>
    number(value, { style: "unit", unit: name, maximumFractionDigits: digits });
  if (ms < 1000) return unit(Math.max(0, ms), "millisecond", 0);
  if (ms < 60000) return unit(ms / 1000, "second", 1);
  if (ms < 3600000) return unit(ms / 60000, "minute", 0);
  if (ms < 86400000) return unit(ms / 3600000, "hour", 1);
  return unit(ms / 86400000, "day", 0);
}
