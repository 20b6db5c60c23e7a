// The day's time and the player's: a playlist strings recorded files together
// without the time between them, so a moment has one of each.

/** A recorded file: from when on it shows what, in the player's seconds and in ms of the day. */
export interface Part {
  media: number;
  length: number;
  wall: number;
}

const endOf = (p: Part): number => p.wall + p.length * 1000;

/** Where the player has to go for a moment: into its file, else to the start of the next; none: nothing is later. */
export function toMedia(parts: readonly Part[], wall: number): number | undefined {
  for (const p of parts) {
    if (wall < p.wall) return p.media;
    if (wall < endOf(p)) return p.media + (wall - p.wall) / 1000;
  }
  return undefined;
}

/** The moment that the player shows; before the first file and after the last those go on. */
export function toWall(parts: readonly Part[], media: number): number | undefined {
  let at: Part | undefined;
  for (const p of parts) {
    if (at && p.media > media) break;
    at = p;
  }
  return at && at.wall + (media - at.media) * 1000;
}

/** Between two pictures that were played one after the other, time is missing. */
export function crossed(before: { media: number; wall: number }, now: { media: number; wall: number }): boolean {
  const played = now.media - before.media;
  return played > 0 && played < 5 && now.wall - before.wall - played * 1000 > 1500;
}

/** Where recorded time ends. */
export function endOfParts(parts: readonly Part[]): number | undefined {
  const last = parts.at(-1);
  return last && endOf(last);
}
