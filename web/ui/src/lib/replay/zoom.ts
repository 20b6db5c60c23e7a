// What a timeline shows: a window of a day that grows, shrinks and moves within it.
import type { Span } from "../util/spans";

/** The shortest window, ms. */
export const SHORTEST = 60_000;

/** The lengths that buttons step through, ms; the whole day is longer than all. */
export const LENGTHS = [60_000, 300_000, 900_000, 3_600_000, 3 * 3_600_000, 6 * 3_600_000, 12 * 3_600_000] as const;

const length = (s: Span): number => s.end - s.start;

/** The window moved into the bounds, and cut to them where it is longer. */
export function within(w: Span, bounds: Span): Span {
  const long = Math.min(length(w), length(bounds));
  const start = Math.max(bounds.start, Math.min(bounds.end - long, w.start));
  return { start, end: start + long };
}

/** The window of another length, in which the moment at stays where it is. */
export function zoom(w: Span, to: number, at: number, bounds: Span): Span {
  const long = Math.max(SHORTEST, Math.min(length(bounds), to));
  const held = Math.max(w.start, Math.min(w.end, at));
  const start = held - ((held - w.start) / length(w)) * long;
  return within({ start, end: start + long }, bounds);
}

/** The next length that buttons offer. */
export function step(w: Span, closer: boolean, bounds: Span): number {
  const now = length(w);
  if (closer) return [...LENGTHS].reverse().find((l) => l < now - 1) ?? SHORTEST;
  return LENGTHS.find((l) => l > now + 1) ?? length(bounds);
}

/** The window moved by as much of its length. */
export function pan(w: Span, part: number, bounds: Span): Span {
  const by = length(w) * part;
  return within({ start: w.start + by, end: w.end + by }, bounds);
}

/** The window that shows a moment: itself while the moment is inside, else one around it. */
export function follow(w: Span, at: number, bounds: Span): Span {
  if (at >= w.start && at <= w.end) return w;
  return within({ start: at - length(w) / 4, end: at + (3 * length(w)) / 4 }, bounds);
}

/** The local day that holds a moment; 23 or 25 hours long where the clocks change. */
export function dayOf(t: number): Span {
  const start = new Date(t);
  start.setHours(0, 0, 0, 0);
  const end = new Date(start);
  end.setDate(end.getDate() + 1);
  return { start: start.getTime(), end: end.getTime() };
}

/** The local day of a date as inputs write it. */
export function dayNamed(date: string): Span {
  return dayOf(new Date(`${date}T00:00:00`).getTime());
}

/** The day so many days later. */
export function dayAfter(d: Span, days: number): Span {
  const at = new Date(d.start);
  at.setDate(at.getDate() + days);
  return dayOf(at.getTime());
}
