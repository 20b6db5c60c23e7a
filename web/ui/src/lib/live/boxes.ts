// Which boxes belong to a moment of the video: annotations come per frame with
// their capture time, the video is shown at another rate and later, so the
// boxes of the moment are looked up, and interpolated where a frame is missing.
import type { Annotation, AnnotatedObject, Box, BoxKind } from "../api/types";

export interface DrawnBox {
  track_id?: string;
  label: string;
  score: number;
  kind: BoxKind;
  box: Box;
  /** The object was detected in a frame close by: the box is sure even where it is interpolated. */
  firm: boolean;
}

export interface Moment {
  /** The time of the frame the boxes stand for, in ms since 1970. */
  time: number;
  width: number;
  height: number;
  boxes: DrawnBox[];
}

interface Entry {
  time: number;
  a: Annotation;
}

/** An annotation this close to the moment is taken as it is, ms. */
const EXACT_MS = 8;

/** Frames further apart than this are not bridged, ms. */
const BRIDGE_MS = 1500;

/**
 * A box counts as firm this close to a frame in which its track was detected, ms.
 * At five detections a second every box between is firm, so the drawing does not flicker.
 */
const FIRM_MS = 250;

/** A lone frame is shown this long after its time, ms. */
const HOLD_MS = 400;

/** Annotations of one camera in the order of their times, the oldest forgotten. */
export class Annotations {
  #entries: Entry[] = [];

  constructor(readonly keepMs = 90_000) {}

  get size(): number {
    return this.#entries.length;
  }

  get latest(): number | undefined {
    return this.#entries.at(-1)?.time;
  }

  /** Adds frames in any order; a frame of the same time replaces the older one. */
  add(frames: readonly Annotation[]): void {
    for (const a of frames) {
      const time = Date.parse(a.time);
      if (!Number.isFinite(time)) continue;
      const i = this.#after(time);
      if (i > 0 && this.#entries[i - 1]?.time === time) this.#entries[i - 1] = { time, a };
      else this.#entries.splice(i, 0, { time, a });
    }
    const newest = this.latest;
    if (newest === undefined) return;
    const keep = this.#after(newest - this.keepMs);
    if (keep > 0) this.#entries.splice(0, keep);
  }

  clear(): void {
    this.#entries = [];
  }

  /** The boxes at a time in ms, or undefined when nothing is known about it. */
  at(time: number): Moment | undefined {
    const m = this.#at(time);
    for (const b of m?.boxes ?? []) b.firm ||= b.kind === "detected" || this.#detectedNear(b.track_id, time);
    return m;
  }

  #at(time: number): Moment | undefined {
    const i = this.#after(time);
    const before = this.#entries[i - 1];
    const after = this.#entries[i];
    if (before && time - before.time <= EXACT_MS) return moment(before);
    if (after && after.time - time <= EXACT_MS) return moment(after);
    if (before && after && after.time - before.time <= BRIDGE_MS) return between(before, after, time);
    if (before && time - before.time <= HOLD_MS) return moment(before);
    return undefined;
  }

  /** The newest frame's boxes, for pictures without a known time. */
  newest(): Moment | undefined {
    const last = this.latest;
    return last === undefined ? undefined : this.at(last);
  }

  #detectedNear(track: string | undefined, time: number): boolean {
    if (!track) return false;
    for (let i = this.#after(time - FIRM_MS); i < this.#entries.length; i++) {
      const e = this.#entries[i] as Entry;
      if (e.time > time + FIRM_MS) break;
      if (e.a.objects?.some((o) => o.track_id === track && (o.kind ?? e.a.kind) === "detected")) return true;
    }
    return false;
  }

  /** The index of the first entry later than time. */
  #after(time: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.#entries[mid] as Entry).time <= time) low = mid + 1;
      else high = mid;
    }
    return low;
  }
}

function moment(e: Entry): Moment {
  return {
    time: e.time,
    width: e.a.width,
    height: e.a.height,
    boxes: (e.a.objects ?? []).map((o) => drawn(o, e.a.kind)),
  };
}

function drawn(o: AnnotatedObject, kind: BoxKind): DrawnBox {
  return {
    ...(o.track_id ? { track_id: o.track_id } : {}),
    label: o.label,
    score: o.score,
    kind: o.kind ?? kind,
    box: o.box,
    firm: false,
  };
}

/** Tracks of both frames move in a straight line; others stay with the nearer frame. */
function between(before: Entry, after: Entry, time: number): Moment {
  const part = (time - before.time) / (after.time - before.time);
  const nearer = part < 0.5 ? before : after;
  const later = new Map<string, AnnotatedObject>();
  for (const o of after.a.objects ?? []) if (o.track_id) later.set(o.track_id, o);
  const boxes: DrawnBox[] = [];
  for (const o of before.a.objects ?? []) {
    const to = o.track_id ? later.get(o.track_id) : undefined;
    if (to) {
      later.delete(to.track_id as string);
      boxes.push({ ...drawn(o, before.a.kind), kind: "interpolated", box: mix(o.box, to.box, part) });
    } else if (nearer === before) boxes.push(drawn(o, before.a.kind));
  }
  if (nearer === after) {
    for (const o of after.a.objects ?? []) {
      if (!o.track_id || later.has(o.track_id)) boxes.push(drawn(o, after.a.kind));
    }
  }
  return { time, width: nearer.a.width, height: nearer.a.height, boxes };
}

export function mix(a: Box, b: Box, part: number): Box {
  return a.map((v, i) => v + ((b[i] as number) - v) * part) as Box;
}

/** "2 person · 1 car", the most frequent first. */
export function countLabels(boxes: readonly { label: string }[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const b of boxes) counts.set(b.label, (counts.get(b.label) ?? 0) + 1);
  return [...counts].sort((x, y) => y[1] - x[1] || x[0].localeCompare(y[0]));
}
