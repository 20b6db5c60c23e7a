// Report rows for charts and for the CSV file.
import type { Report } from "../api/types";

export interface Bucket {
  /** Start in ms. */
  start: number;
  frames: number;
  inferences: number;
  errors: number;
  detections: number;
  drops: Record<string, number>;
  classes: Record<string, number>;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

/** Sums rows that start together. Percentiles cannot be summed: the slowest row's are kept. */
export function buckets(rows: readonly Report[]): Bucket[] {
  const by = new Map<number, Bucket>();
  for (const r of rows) {
    const start = Date.parse(r.start);
    let b = by.get(start);
    if (!b) {
      b = { start, frames: 0, inferences: 0, errors: 0, detections: 0, drops: {}, classes: {}, p50: null, p95: null, p99: null };
      by.set(start, b);
    }
    b.frames += r.frames;
    b.inferences += r.inferences;
    b.errors += r.errors;
    b.detections += r.detections;
    merge(b.drops, r.drops);
    merge(b.classes, r.classes);
    if (r.inferences > 0) {
      b.p50 = Math.max(b.p50 ?? 0, r.p50_ms);
      b.p95 = Math.max(b.p95 ?? 0, r.p95_ms);
      b.p99 = Math.max(b.p99 ?? 0, r.p99_ms);
    }
  }
  return [...by.values()].sort((a, b) => a.start - b.start);
}

function merge(into: Record<string, number>, from: Record<string, number> | null): void {
  for (const [k, v] of Object.entries(from ?? {})) into[k] = (into[k] ?? 0) + v;
}

export function sum(values: Record<string, number> | null | undefined): number {
  return Object.values(values ?? {}).reduce((a, b) => a + b, 0);
}

/** The keys with the largest sums over all buckets, at most n. */
export function topKeys(all: readonly Record<string, number>[], n: number): string[] {
  const total: Record<string, number> = {};
  for (const m of all) merge(total, m);
  return Object.entries(total)
    .filter(([, v]) => v > 0)
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
    .slice(0, n)
    .map(([k]) => k);
}

const COLUMNS: [string, (r: Report) => string | number][] = [
  ["start", (r) => r.start],
  ["period", (r) => r.period],
  ["camera_id", (r) => r.camera_id],
  ["model", (r) => r.model],
  ["model_version", (r) => r.model_version],
  ["frames", (r) => r.frames],
  ["inferences", (r) => r.inferences],
  ["errors", (r) => r.errors],
  ["drops", (r) => sum(r.drops)],
  ["detections", (r) => r.detections],
  ["mean_score", (r) => r.mean_score],
  ["p50_ms", (r) => r.p50_ms],
  ["p95_ms", (r) => r.p95_ms],
  ["p99_ms", (r) => r.p99_ms],
  ["recorded_s", (r) => r.recorded.covered_s],
  ["missing_s", (r) => r.recorded.missing_s],
];

/** RFC 4180, one column per drop reason and label at the end. */
export function toCSV(rows: readonly Report[]): string {
  const drops = topKeys(rows.map((r) => r.drops ?? {}), 1000).sort();
  const classes = topKeys(rows.map((r) => r.classes ?? {}), 1000).sort();
  const lines = [[...COLUMNS.map(([n]) => n), ...drops.map((d) => `drops_${d}`), ...classes.map((c) => `class_${c}`)]];
  for (const r of rows) {
    lines.push([
      ...COLUMNS.map(([, f]) => String(f(r))),
      ...drops.map((d) => String(r.drops?.[d] ?? 0)),
      ...classes.map((c) => String(r.classes?.[c] ?? 0)),
    ]);
  }
  return lines.map((l) => l.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Quotes where needed, and keeps a spreadsheet from running a label as a formula. */
function cell(v: string): string {
  const safe = /^[=+\-@\t\r]/.test(v) && Number.isNaN(Number(v)) ? `'${v}` : v;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
