// Spans of time on a timeline.

export interface Span {
  start: number;
  end: number;
}

/** Joins spans that touch or lie closer than gap ms, in order of their start. */
export function joinSpans(spans: readonly Span[], gap = 2000): Span[] {
  const out: Span[] = [];
  for (const s of [...spans].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && s.start - last.end <= gap) last.end = Math.max(last.end, s.end);
    else out.push({ start: s.start, end: s.end });
  }
  return out;
}

/** Where t lies in a window, 0 to 1, cut to the window. */
export function position(t: number, window: Span): number {
  const part = (t - window.start) / (window.end - window.start);
  return Math.max(0, Math.min(1, part));
}

const HOUR = 3_600_000;

/** Round times for the labels of a window, at most most of them. */
export function ticks(window: Span, most = 12): number[] {
  const length = window.end - window.start;
  const steps = [HOUR / 360, HOUR / 120, HOUR / 60, HOUR / 12, HOUR / 6, HOUR / 2, HOUR, 2 * HOUR, 3 * HOUR];
  const step = steps.find((s) => length / s <= most) ?? 6 * HOUR;
  const offset = new Date(window.start).getTimezoneOffset() * 60_000;
  const out: number[] = [];
  for (let t = Math.ceil((window.start - offset) / step) * step + offset; t <= window.end; t += step) out.push(t);
  return out;
}

/** The whole minute holding t, cut to now. */
export function minuteOf(t: number, now = Date.now()): Span {
  const start = Math.floor(t / 60_000) * 60_000;
  return { start, end: Math.min(start + 60_000, Math.max(now, start + 1000)) };
}
