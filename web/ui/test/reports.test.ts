import { expect, it } from "vitest";
import type { Report } from "../src/lib/api/types";
import { buckets, sum, toCSV, topKeys } from "../src/lib/util/reports";
import { sumByLabel } from "../src/lib/util/summary";

function row(o: Partial<Report>): Report {
  return {
    period: "hour", start: "2026-11-25T09:00:00.000Z", camera_id: "door", model: "default", model_version: 1,
    recorded: { start: "2026-11-25T09:00:00.000Z", end: "2026-11-25T10:00:00.000Z", covered_s: 3590, missing_s: 10, not_wanted_s: 0, reasons: {} },
    frames: 100, inferences: 50, errors: 0, drops: {}, detections: 5, classes: { person: 5 }, mean_score: 0.5,
    p50_ms: 10, p95_ms: 20, p99_ms: 30, ...o,
  };
}

it("sums cameras of the same hour and keeps the slowest percentiles", () => {
  const got = buckets([
    row({ start: "2026-11-25T10:00:00.000Z", inferences: 0 }),
    row({ drops: { stale: 2 } }),
    row({ camera_id: "yard", drops: { stale: 1, decode: 4 }, classes: { person: 1, car: 2 }, p95_ms: 90 }),
  ]);
  expect(got).toHaveLength(2);
  expect(got[0]).toMatchObject({ frames: 200, drops: { stale: 3, decode: 4 }, classes: { person: 6, car: 2 }, p50: 10, p95: 90, p99: 30 });
  expect(got[1]).toMatchObject({ frames: 100, p95: null });
});

it("names the largest keys", () => {
  expect(topKeys([{ a: 1, b: 5, zero: 0 }, { c: 3, a: 1 }], 2)).toEqual(["b", "c"]);
  expect(sum({ a: 1, b: 2 })).toBe(3);
  expect(sum(null)).toBe(0);
});

it("writes CSV that spreadsheets read as text", () => {
  const lines = toCSV([row({ classes: { person: 5, "=cmd": 1, 'a "b", c': 2 }, drops: { stale: 2 } })]).split("\r\n");
  expect(lines[0]).toContain('drops_stale,class_=cmd,"class_a ""b"", c",class_person');
  expect(lines[1]).toBe("2026-11-25T09:00:00.000Z,hour,door,default,1,100,50,0,2,5,0.5,10,20,30,3590,10,2,1,2,5");
  expect(toCSV([row({ camera_id: "=1+1" })])).toContain("hour,'=1+1,default");
});

it("sums a video by label", () => {
  const d = (label: string, score: number) => ({ label, score, class_id: 0, box: [0, 0, 1, 1] as [number, number, number, number] });
  expect(
    sumByLabel([
      { frame: 0, pts_ms: 0, detections: [d("car", 0.4)] },
      { frame: 1, pts_ms: 40, detections: [d("person", 0.9), d("person", 0.6)] },
      { frame: 2, pts_ms: 80, detections: [d("person", 0.7)] },
    ]),
  ).toEqual([
    { label: "person", frames: 2, most: 2, best: 0.9, first: 40 },
    { label: "car", frames: 1, most: 1, best: 0.4, first: 0 },
  ]);
});
