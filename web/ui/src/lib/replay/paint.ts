// Draws a day: marks, what was seen, events, what is recorded, the hours.
import type { TimelinePiece } from "../api/types";
import { colourOf } from "../live/palette";
import { clock } from "../util/format";
import { position as place, ticks, type Span } from "../util/spans";
import type { Gap } from "./happened";

export interface Scene {
  window: Span;
  recorded: readonly Span[];
  gaps: readonly Gap[];
  pieces: readonly TimelinePiece[];
  /** Length of a piece, ms. */
  step: number;
  /** The objects themselves, where the window is short enough to show them; else they are counted. */
  tracks: readonly (Span & { label: string })[] | undefined;
  events: readonly number[];
  kept: readonly Span[];
}

/** Where the lanes are, in pixels from the top. */
export const LANES = { kept: 2, seen: 13, seenEnd: 56, events: 59, recorded: 70, axis: 84, height: 102 } as const;

const COLOURS = {
  recorded: "#5b7fd6", missing: "#ff5d52", unwanted: "#3a4150", motion: "#9db7f5",
  event: "#ffffff", kept: "#f0b54a", line: "rgb(255 255 255 / 0.13)", text: "#b6bfcd",
} as const;

/** Bars of counted objects are at least this wide, pixels. */
const BAR = 4;
const TRACK = 6;

export function paint(canvas: HTMLCanvasElement, width: number, s: Scene): void {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(LANES.height * ratio);
  const g = canvas.getContext("2d");
  if (!g) return;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, LANES.height);
  const span = (b: Span, y: number, h: number, colour: string, least = 1) => {
    if (b.end < s.window.start || b.start > s.window.end) return;
    const x = place(b.start, s.window) * width;
    g.fillStyle = colour;
    g.fillRect(x, y, Math.max(least, place(b.end, s.window) * width - x), h);
  };
  hours(g, width, s.window);
  for (const b of s.gaps) if (!b.wanted) span(b, LANES.recorded, 10, COLOURS.unwanted, 0);
  for (const b of s.recorded) span(b, LANES.recorded, 10, COLOURS.recorded);
  for (const b of s.gaps) if (b.wanted) span(b, LANES.recorded, 10, COLOURS.missing, 2);
  for (const p of s.pieces) {
    if (p.motion_seconds <= 0) continue;
    const start = Date.parse(p.start);
    g.globalAlpha = Math.min(1, 0.35 + p.motion_seconds / (s.step / 1000));
    span({ start, end: start + s.step }, LANES.recorded + 10, 3, COLOURS.motion);
  }
  g.globalAlpha = 1;
  if (s.tracks) objects(s.tracks, span);
  else counts(g, width, s);
  g.fillStyle = COLOURS.event;
  for (const t of s.events) {
    if (t < s.window.start || t > s.window.end) continue;
    const x = place(t, s.window) * width;
    g.beginPath();
    g.moveTo(x, LANES.events);
    g.lineTo(x + 3.5, LANES.events + 4.5);
    g.lineTo(x, LANES.events + 9);
    g.lineTo(x - 3.5, LANES.events + 4.5);
    g.fill();
  }
  for (const k of s.kept) span(k, LANES.kept, 7, COLOURS.kept, 4);
}

function hours(g: CanvasRenderingContext2D, width: number, window: Span): void {
  g.font = "11px system-ui, sans-serif";
  g.textBaseline = "bottom";
  const all = ticks(window, Math.max(2, Math.min(13, Math.floor(width / 62))));
  const fine = all.length > 1 && (all[1] as number) - (all[0] as number) < 60_000;
  for (const t of all) {
    const x = place(t, window) * width;
    g.fillStyle = COLOURS.line;
    g.fillRect(x, LANES.seen - 2, 1, LANES.axis - LANES.seen);
    g.fillStyle = COLOURS.text;
    const text = fine ? clock(t) : clock(t).slice(0, 5);
    const w = g.measureText(text).width;
    g.fillText(text, Math.min(width - w - 2, Math.max(2, x - w / 2)), LANES.height - 3);
  }
}

type Bar = (b: Span, y: number, h: number, colour: string, least?: number) => void;

/** Objects one below the other where they were there at the same time. */
function objects(tracks: NonNullable<Scene["tracks"]>, bar: Bar): void {
  const rows = Math.floor((LANES.seenEnd - LANES.seen) / (TRACK + 1));
  const until: number[] = [];
  for (const t of [...tracks].sort((a, b) => a.start - b.start)) {
    let row = until.findIndex((end) => end <= t.start);
    if (row < 0) row = until.length < rows ? until.length : until.indexOf(Math.min(...until));
    until[row] = Math.max(until[row] ?? 0, t.end);
    bar(t, LANES.seen + row * (TRACK + 1), TRACK, colourOf(t.label), 2);
  }
}

/** How many objects appeared, by label, in bars as wide as can be told apart. */
export function bars(s: Pick<Scene, "window" | "pieces" | "step">, width: number): { at: number; counts: Map<string, number>; sum: number }[] {
  const long = s.window.end - s.window.start;
  const many = Math.max(1, Math.ceil((BAR * long) / width / s.step)) * s.step;
  const out = new Map<number, { at: number; counts: Map<string, number>; sum: number }>();
  for (const p of s.pieces) {
    const t = Date.parse(p.start);
    if (t + s.step <= s.window.start || t >= s.window.end) continue;
    const at = s.window.start + Math.floor((t - s.window.start) / many) * many;
    for (const [label, n] of Object.entries(p.tracks ?? {})) {
      const b = out.get(at) ?? { at, counts: new Map<string, number>(), sum: 0 };
      b.counts.set(label, (b.counts.get(label) ?? 0) + n);
      b.sum += n;
      out.set(at, b);
    }
  }
  return [...out.values()];
}

function counts(g: CanvasRenderingContext2D, width: number, s: Scene): void {
  const all = bars(s, width);
  const most = Math.max(4, ...all.map((b) => b.sum));
  const long = s.window.end - s.window.start;
  const wide = Math.max(BAR, (s.step / long) * width) - 1;
  for (const b of all) {
    const x = ((b.at - s.window.start) / long) * width;
    // One object is seen beside a hundred: the bar grows with the root.
    const tall = Math.max(4, Math.sqrt(b.sum / most) * (LANES.seenEnd - LANES.seen));
    let y = LANES.seenEnd;
    for (const [label, n] of [...b.counts].sort((p, q) => p[0].localeCompare(q[0]))) {
      const h = (n / b.sum) * tall;
      y -= h;
      g.fillStyle = colourOf(label);
      g.fillRect(x, y, wide, h);
    }
  }
}
