import { describe, expect, it } from "vitest";
import type { CameraCoverage, TimelinePiece } from "../src/lib/api/types";
import { busyPieces, countsOf, gapAt, gapsOf, nextMoment, recordedSpans } from "../src/lib/replay/happened";
import { keepID, keptSpans } from "../src/lib/replay/keeps";
import { KEYS, wishOf } from "../src/lib/replay/keys";
import { bars } from "../src/lib/replay/paint";
import { crossed, endOfParts, toMedia, toWall } from "../src/lib/replay/parts";
import { dayAfter, dayOf, follow, pan, SHORTEST, step, within, zoom } from "../src/lib/replay/zoom";

const iso = (t: number) => new Date(t).toISOString();
const NOON = Date.UTC(2026, 10, 25, 12);
const MINUTE = 60_000;

describe("the player's time and the day's", () => {
  // Two files, five minutes apart; the player knows nothing of the time between.
  const parts = [
    { media: 0, length: 10, wall: NOON },
    { media: 10, length: 12.5, wall: NOON + 310_000 },
  ];

  it("finds a moment in its file, or the next file that there is", () => {
    expect(toMedia(parts, NOON + 4000)).toBe(4);
    expect(toMedia(parts, NOON - 1)).toBe(0);
    expect(toMedia(parts, NOON + 10_000)).toBe(10);
    expect(toMedia(parts, NOON + 310_000 + 500)).toBe(10.5);
    expect(toMedia(parts, NOON + 322_500)).toBeUndefined();
    expect(toMedia([], NOON)).toBeUndefined();
  });

  it("knows when what it shows was captured", () => {
    expect(toWall(parts, 4)).toBe(NOON + 4000);
    expect(toWall(parts, 10)).toBe(NOON + 310_000);
    expect(toWall(parts, 22)).toBe(NOON + 322_000);
    expect(toWall([], 1)).toBeUndefined();
    for (const t of [NOON, NOON + 9999, NOON + 311_000]) expect(toWall(parts, toMedia(parts, t) as number)).toBeCloseTo(t, 3);
    expect(endOfParts(parts)).toBe(NOON + 322_500);
    expect(endOfParts([])).toBeUndefined();
  });

  it("sees time missing between two pictures, but not in a seek", () => {
    const before = { media: 9.9, wall: NOON + 9900 };
    expect(crossed(before, { media: 10, wall: NOON + 310_000 })).toBe(true);
    expect(crossed(before, { media: 10, wall: NOON + 10_000 })).toBe(false);
    expect(crossed(before, { media: 10, wall: NOON + 10_400 })).toBe(false);
    expect(crossed(before, { media: 21, wall: NOON + 321_000 })).toBe(false);
    expect(crossed(before, { media: 2, wall: NOON + 2000 })).toBe(false);
  });
});

describe("the window of a timeline", () => {
  const day = { start: 0, end: 86_400_000 };

  it("keeps the moment under the pointer where it is", () => {
    const w = zoom(day, 3_600_000, 43_200_000, day);
    expect(w).toEqual({ start: 41_400_000, end: 45_000_000 });
    expect(zoom(w, 86_400_000, 42_000_000, day)).toEqual(day);
  });

  it("stays in the day, and is never shorter than can be shown", () => {
    expect(zoom(day, 1, 0, day)).toEqual({ start: 0, end: SHORTEST });
    expect(within({ start: -5000, end: 5000 }, day)).toEqual({ start: 0, end: 10_000 });
    expect(within({ start: 0, end: 10 * day.end }, day)).toEqual(day);
    expect(pan({ start: 86_000_000, end: 86_300_000 }, 1, day)).toEqual({ start: 86_100_000, end: 86_400_000 });
  });

  it("steps through round lengths", () => {
    expect(step(day, true, day)).toBe(12 * 3_600_000);
    expect(step({ start: 0, end: 3_600_000 }, true, day)).toBe(900_000);
    expect(step({ start: 0, end: 12 * 3_600_000 }, false, day)).toBe(day.end);
    expect(step({ start: 0, end: SHORTEST }, true, day)).toBe(SHORTEST);
  });

  it("follows what is played", () => {
    const w = { start: 1000_000, end: 1_400_000 };
    expect(follow(w, 1_200_000, day)).toBe(w);
    expect(follow(w, 1_500_000, day)).toEqual({ start: 1_400_000, end: 1_800_000 });
  });

  it("goes from day to day", () => {
    const d = dayOf(NOON);
    expect(d.start).toBeLessThanOrEqual(NOON);
    expect(dayAfter(d, 1).start).toBe(d.end);
    expect(dayAfter(dayAfter(d, 1), -1)).toEqual(d);
  });
});

function piece(at: number, recorded: number, more: Partial<TimelinePiece> = {}): TimelinePiece {
  return { start: iso(at), recorded_seconds: recorded, motion_seconds: 0, events: 0, ...more };
}

describe("a day", () => {
  const gap = (start: number, end: number, reason: string, wanted = true) => ({ start: iso(start), end: iso(end), reason, detail: "", wanted });
  const coverage = {
    camera_id: "c", start: iso(NOON), end: iso(NOON + 10 * MINUTE), covered_s: 0, missing_s: 0, not_wanted_s: 0, reasons: {}, days: [],
    gaps: [gap(NOON, NOON + 5000, "camera"), gap(NOON + 3 * MINUTE, NOON + 5 * MINUTE, "expired", false)],
  } as CameraCoverage;

  it("is recorded where there is no gap, and as pieces say after that", () => {
    const pieces = [piece(NOON, 60), piece(NOON + 9 * MINUTE, 60), piece(NOON + 10 * MINUTE, 30), piece(NOON + 20 * MINUTE, 15)];
    expect(recordedSpans(coverage, pieces, MINUTE)).toEqual([
      { start: NOON + 5000, end: NOON + 3 * MINUTE },
      { start: NOON + 5 * MINUTE, end: NOON + 10 * MINUTE + 30_000 },
      { start: NOON + 20 * MINUTE, end: NOON + 20 * MINUTE + 15_000 },
    ]);
    expect(recordedSpans(undefined, pieces.slice(0, 1), MINUTE)).toEqual([{ start: NOON, end: NOON + MINUTE }]);
    expect(recordedSpans(undefined, [], MINUTE)).toEqual([]);
  });

  it("does not take the first thousand gaps for all of them", () => {
    const many = { ...coverage, gaps: Array.from({ length: 1000 }, (_, i) => gap(NOON + i * 100, NOON + i * 100 + 50, "not_kept", false)) };
    expect(recordedSpans(many, [piece(NOON + 5 * MINUTE, 12)], MINUTE)).toEqual([{ start: NOON + 5 * MINUTE, end: NOON + 5 * MINUTE + 12_000 }]);
  });

  it("says why something is missing", () => {
    expect(gapAt(gapsOf(coverage), NOON + 4 * MINUTE)?.reason).toBe("expired");
    expect(gapAt(gapsOf(coverage), NOON + 2 * MINUTE)).toBeUndefined();
    expect(gapsOf(undefined)).toEqual([]);
  });

  it("finds the event before and after", () => {
    const moments = [NOON, NOON + 10_000, NOON + 60_000];
    expect(nextMoment(moments, NOON + 9000, false)).toBe(NOON + 60_000); // a second before counts as there
    expect(nextMoment(moments, NOON + 9000, true)).toBe(NOON);
    expect(nextMoment(moments, NOON + 60_000, false)).toBeUndefined();
    expect(nextMoment([], NOON, true)).toBeUndefined();
  });

  it("knows its busy minutes, and counts what was seen in them", () => {
    const pieces = [piece(NOON, 60), piece(NOON + MINUTE, 60, { events: 1 }), piece(NOON + 2 * MINUTE, 60, { tracks: { car: 1, person: 3 } })];
    expect(busyPieces(pieces)).toEqual([NOON + MINUTE, NOON + 2 * MINUTE]);
    expect(countsOf(pieces[2]?.tracks)).toEqual([["person", 3], ["car", 1]]);
    // 30 pixels for an hour: a bar of at least 4 pixels is 8 minutes.
    const window = { start: NOON, end: NOON + 60 * MINUTE };
    const drawn = bars({ window, pieces: [...pieces, piece(NOON + 5 * MINUTE, 60, { tracks: { person: 1 } })], step: MINUTE }, 30);
    expect(drawn.map((b) => [b.at, b.sum, b.counts.get("person")])).toEqual([[NOON, 5, 4]]);
  });
});

describe("marks", () => {
  it("get ids that the API takes, and no two the same", () => {
    const allowed = /^[a-z0-9][a-z0-9_-]{0,62}$/;
    for (const label of ["", "Delivery van at the gate", "  Überfall! 3 a.m.", "東京", "x".repeat(300), "--", "a-"]) expect(keepID(label)).toMatch(allowed);
    expect(keepID("Break in", 1)).toBe("break-in-1");
    expect(keepID("a", 1)).not.toBe(keepID("a", 2));
  });

  it("are listed newest first", () => {
    const keep = (id: string, from: number, note?: string) => ({ camera_id: "c", id, from: iso(from), to: iso(from + MINUTE), created_at: iso(NOON), ...(note ? { note } : {}) });
    expect(keptSpans([keep("a", NOON), keep("b", NOON + 5 * MINUTE, "van")])).toEqual([
      { id: "b", note: "van", start: NOON + 5 * MINUTE, end: NOON + 6 * MINUTE },
      { id: "a", note: "", start: NOON, end: NOON + MINUTE },
    ]);
    expect(keptSpans(undefined)).toEqual([]);
  });
});

it("has a wish behind every key it names, and none behind others", () => {
  const press = (key: string, more = {}) => wishOf({ key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...more });
  const keys: Record<string, string> = { Space: " ", "←": "ArrowLeft", "→": "ArrowRight", "−": "-", Esc: "Escape" };
  for (const [named] of KEYS) for (const k of named.split(" ")) expect(press(keys[k] ?? k), k).toBeDefined();
  expect(press("ArrowLeft", { shiftKey: true })).toEqual({ do: "jump", ms: -60_000 });
  expect(press("8")).toEqual({ do: "speed", rate: 8 });
  expect(press("k", { ctrlKey: true })).toBeUndefined();
  expect(press("x")).toBeUndefined();
});
