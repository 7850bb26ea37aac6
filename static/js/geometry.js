// Places on the map. Pure.

/** Whether a point lies within a closed line: a ray to the right crosses it an odd number of
 *  times. */
export function inside([x, y], line) {
  let within = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i, i += 1) {
    const [ax, ay] = line[i];
    const [bx, by] = line[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
  }
  return within;
}

/** The place nearest to a point, within a distance; -1 for none. */
export function nearest([x, y], places, reach) {
  let best = -1;
  let least = reach * reach;
  places.forEach(([px, py], index) => {
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance <= least) {
      best = index;
      least = distance;
    }
  });
  return best;
}

/** A number for a text, always the same: to give names colours. */
export function hue(text) {
  let sum = 2166136261;
  for (const letter of text) sum = Math.imul(sum ^ letter.codePointAt(0), 16777619);
  return (sum >>> 0) % 360;
}
