// What is drawn in a camera's picture: zones, lines and masks as one list of
// shapes, and the geometry that editing them needs. Points are shares of the
// picture's width and height.
import type { Line, Mask, Zone, ZoneShapes } from "../api/types";

export type Point = [number, number];
export type Kind = "zone" | "line" | "mask";

export interface Shape {
  kind: Kind;
  id: string;
  name: string;
  /** The corners of a zone or mask; the start and the end of a line. */
  points: Point[];
  /** Labels that count, or that a mask drops; none: all. */
  classes: string[];
  min_area: number;
  max_area: number;
  /** Zones and lines only. */
  min_score: number;
  /** Zones only, seconds; 0: none. */
  loiter: number;
  /** Lines only. */
  direction: "both" | "right" | "left";
}

export const WORDS: Record<Kind, { name: string; does: string; points: string }> = {
  zone: { name: "Zone", does: "counts objects that come in and go out", points: "Click the corners, then the first one again." },
  line: { name: "Line", does: "counts objects that cross it", points: "Click where it starts and where it ends." },
  mask: { name: "Mask", does: "drops what is detected inside", points: "Click the corners, then the first one again." },
};

/** The fewest points that make a shape. */
export const least = (kind: Kind): number => (kind === "line" ? 2 : 3);

export function blank(kind: Kind, taken: readonly Shape[]): Shape {
  const id = freshID(kind, taken);
  return {
    kind, id, name: `${WORDS[kind].name} ${id.slice(kind.length + 1)}`, points: [],
    classes: [], min_area: 0, max_area: 0, min_score: 0, loiter: 0, direction: "both",
  };
}

/** An id that no shape has: zone-1, zone-2 … */
export function freshID(kind: Kind, taken: readonly Shape[]): string {
  for (let n = 1; ; n++) {
    const id = `${kind}-${n}`;
    if (!taken.some((s) => s.id === id)) return id;
  }
}

export function fromDocument(d: ZoneShapes): Shape[] {
  const zone = (z: Zone | Line) => ({
    classes: z.objects?.classes ?? [], min_area: z.objects?.min_area ?? 0, max_area: z.objects?.max_area ?? 0, min_score: z.objects?.min_score ?? 0,
  });
  return [
    ...(d.zones ?? []).map((z): Shape => ({
      ...zone(z), kind: "zone", id: z.id, name: z.name ?? "", points: z.polygon.map(point), loiter: z.loiter_seconds ?? 0, direction: "both",
    })),
    ...(d.lines ?? []).map((l): Shape => ({
      ...zone(l), kind: "line", id: l.id, name: l.name ?? "", points: [point(l.from), point(l.to)], loiter: 0, direction: l.direction ?? "both",
    })),
    ...(d.masks ?? []).map((k): Shape => ({
      kind: "mask", id: k.id, name: k.name ?? "", points: k.polygon.map(point), classes: k.classes ?? [],
      min_area: k.min_area ?? 0, max_area: k.max_area ?? 0, min_score: 0, loiter: 0, direction: "both",
    })),
  ];
}

export function toDocument(shapes: readonly Shape[]): Required<ZoneShapes> {
  const area = (s: Shape) => ({ ...(s.min_area ? { min_area: s.min_area } : {}), ...(s.max_area ? { max_area: s.max_area } : {}) });
  const classes = (s: Shape) => (s.classes.length ? { classes: s.classes } : {});
  const head = (s: Shape) => ({ id: s.id, ...(s.name.trim() ? { name: s.name.trim() } : {}) });
  const objects = (s: Shape) => ({ objects: { ...classes(s), ...area(s), ...(s.min_score ? { min_score: s.min_score } : {}) } });
  const of = (kind: Kind) => shapes.filter((s) => s.kind === kind);
  return {
    zones: of("zone").map((s): Zone => ({ ...head(s), ...objects(s), polygon: s.points, ...(s.loiter ? { loiter_seconds: s.loiter } : {}) })),
    lines: of("line").map((s): Line => ({
      ...head(s), ...objects(s), from: s.points[0] as Point, to: s.points[1] as Point, direction: s.direction,
    })),
    masks: of("mask").map((s): Mask => ({ ...head(s), ...classes(s), ...area(s), polygon: s.points })),
  };
}

/** The shape that a field named in an error of the API belongs to: "body.zones[1].polygon". */
export function shapeOf(field: string, shapes: readonly Shape[]): Shape | undefined {
  const m = /(zone|line|mask)s\[(\d+)\]/.exec(field);
  return m ? shapes.filter((s) => s.kind === m[1])[Number(m[2])] : undefined;
}

function point(p: readonly number[]): Point {
  return [p[0] ?? 0, p[1] ?? 0];
}

/** A ten-thousandth of the picture is finer than any screen. */
export function inside(p: Point): Point {
  const cut = (v: number) => Math.round(Math.min(1, Math.max(0, v)) * 1e4) / 1e4;
  return [cut(p[0]), cut(p[1])];
}

/** Moves all points by the same way, which is cut so that none leaves the picture. */
export function moved(points: readonly Point[], dx: number, dy: number): Point[] {
  const cut = (d: number, axis: 0 | 1) => {
    const v = points.map((p) => p[axis]);
    return Math.min(1 - Math.max(...v), Math.max(-Math.min(...v), d));
  };
  const [x, y] = [cut(dx, 0), cut(dy, 1)];
  return points.map((p) => inside([p[0] + x, p[1] + y]));
}

/** Why the shape cannot be saved, for people; undefined when it can. */
export function wrong(s: Shape): string | undefined {
  if (s.points.length < least(s.kind)) return s.kind === "line" ? "It needs a start and an end." : "It needs at least three corners.";
  if (s.kind === "line") {
    const [a, b] = s.points as [Point, Point];
    return Math.hypot(a[0] - b[0], a[1] - b[1]) < 1e-3 ? "It has no length." : undefined;
  }
  const n = s.points.length;
  for (let i = 0; i < n; i++) {
    for (let j = i + 2; j < n; j++) {
      if (i === 0 && j === n - 1) continue; // neighbours
      if (cross(at(s, i), at(s, i + 1), at(s, j), at(s, j + 1))) return "Its sides cross: move a corner.";
    }
  }
  return Math.abs(area(s.points)) < 1e-6 ? "It has no area." : undefined;
}

function at(s: Shape, i: number): Point {
  return s.points[i % s.points.length] as Point;
}

function area(p: readonly Point[]): number {
  return p.reduce((sum, a, i) => {
    const b = p[(i + 1) % p.length] as Point;
    return sum + (a[0] * b[1] - a[1] * b[0]) / 2;
  }, 0);
}

function turn(a: Point, b: Point, c: Point): number {
  return Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));
}

function cross(a: Point, b: Point, c: Point, d: Point): boolean {
  return turn(a, b, c) * turn(a, b, d) <= 0 && turn(c, d, a) * turn(c, d, b) <= 0;
}

/**
 * From the middle of a line, the way to its right when walking from start to end,
 * of unit length in a picture of the given ratio of width to height.
 */
export function rightOf(from: Point, to: Point, ratio: number): Point {
  const [dx, dy] = [(to[0] - from[0]) * ratio, to[1] - from[1]];
  const length = Math.hypot(dx, dy) || 1;
  return [0 - dy / length / ratio, dx / length];
}
