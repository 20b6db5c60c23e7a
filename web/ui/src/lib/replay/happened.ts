// What was recorded and what happened in a day, from what the API tells of it.
import type { CameraCoverage, TimelinePiece } from "../api/types";
import { joinSpans, type Span } from "../util/spans";

export interface Gap extends Span {
  reason: string;
  detail: string;
  wanted: boolean;
}

/** The API tells of this many gaps at most. */
const MOST_GAPS = 1000;

export function gapsOf(c: CameraCoverage | undefined): Gap[] {
  return (c?.gaps ?? []).map((g) => ({ ...g, start: Date.parse(g.start), end: Date.parse(g.end) }));
}

/**
 * The recorded spans of a day: to the second where the ledger has been kept, of
 * pieces where it has not yet, or where there are more gaps than it tells of.
 */
export function recordedSpans(c: CameraCoverage | undefined, pieces: readonly TimelinePiece[], step: number): Span[] {
  const known = c && c.end > c.start ? { start: Date.parse(c.start), end: Date.parse(c.end) } : undefined;
  const gaps = gapsOf(c);
  const exact = known && gaps.length < MOST_GAPS;
  const out: Span[] = [];
  if (exact) {
    let at = known.start;
    for (const g of gaps) {
      if (g.start > at) out.push({ start: at, end: g.start });
      at = Math.max(at, g.end);
    }
    if (known.end > at) out.push({ start: at, end: known.end });
  }
  const from = exact ? known.end : -Infinity;
  for (const p of pieces) {
    const start = Date.parse(p.start);
    const length = Math.min(step, p.recorded_seconds * 1000);
    // Where in a piece the recording lies is not known: from its start on is a guess.
    if (length > 0 && start + step > from) {
      const s = Math.max(from, start);
      const end = Math.min(start + step, s + length);
      if (end > s) out.push({ start: s, end });
    }
  }
  return joinSpans(out, 1500);
}

/** The gap that holds a moment. */
export function gapAt(gaps: readonly Gap[], t: number): Gap | undefined {
  return gaps.find((g) => g.start <= t && t < g.end);
}

/** Pieces of a day in which something appeared or happened, in order. */
export function busyPieces(pieces: readonly TimelinePiece[]): number[] {
  return pieces.filter((p) => p.events > 0 || Object.keys(p.tracks ?? {}).length > 0).map((p) => Date.parse(p.start));
}

/**
 * The moment to jump to: the first of them later than now, or the last one earlier.
 * What lies closer than slack ms counts as where playback is.
 */
export function nextMoment(moments: readonly number[], now: number, back: boolean, slack = 1500): number | undefined {
  const there = moments.filter((m) => (back ? m < now - slack : m > now + slack));
  if (!there.length) return undefined;
  return back ? Math.max(...there) : Math.min(...there);
}

/** How many objects of each label, the most first. */
export function countsOf(tracks: Record<string, number> | undefined): [string, number][] {
  return Object.entries(tracks ?? {}).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
