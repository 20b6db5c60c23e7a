import { expect, it } from "vitest";
import { joinSpans, minuteOf, position, ticks } from "../src/lib/util/spans";

it("joins recordings that follow each other", () => {
  const spans = [
    { start: 60_500, end: 120_000 },
    { start: 0, end: 60_000 },
    { start: 300_000, end: 310_000 },
    { start: 301_000, end: 305_000 },
  ];
  expect(joinSpans(spans)).toEqual([
    { start: 0, end: 120_000 },
    { start: 300_000, end: 310_000 },
  ]);
  expect(joinSpans([])).toEqual([]);
});

it("cuts positions to the window", () => {
  const w = { start: 100, end: 200 };
  expect([50, 100, 150, 300].map((t) => position(t, w))).toEqual([0, 0, 0.5, 1]);
});

it("labels round times, as many as there is room for", () => {
  const start = new Date(2026, 5, 10).getTime();
  const day = { start, end: start + 86_400_000 };
  expect(ticks(day, 13).map((t) => new Date(t).getHours())).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 0]);
  expect(ticks(day, 6).map((t) => new Date(t).getHours())).toEqual([0, 6, 12, 18, 0]);
  expect(ticks({ start: start + 1, end: start + 3_600_000 }).map((t) => new Date(t).getMinutes())).toEqual([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 0]);
});

it("takes the whole minute, but not more than has passed", () => {
  expect(minuteOf(90_000, 1_000_000)).toEqual({ start: 60_000, end: 120_000 });
  expect(minuteOf(90_000, 100_000)).toEqual({ start: 60_000, end: 100_000 });
  expect(minuteOf(60_000, 60_000)).toEqual({ start: 60_000, end: 61_000 });
});
