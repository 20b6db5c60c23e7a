import { describe, expect, it } from "vitest";
import type { AnnotatedObject, Annotation, Box, BoxKind } from "../src/lib/api/types";
import { Annotations, countLabels, mix } from "../src/lib/live/boxes";

const T = Date.parse("2026-11-25T09:30:00.000Z");

function frame(ms: number, objects: AnnotatedObject[] | null, kind: BoxKind = "detected"): Annotation {
  return {
    camera_id: "door", time: new Date(T + ms).toISOString(), frame: ms, pts_ms: ms, time_error_ms: 0,
    width: 640, height: 360, kind, objects,
  };
}

function person(track: string | undefined, box: Box, kind?: BoxKind): AnnotatedObject {
  return { ...(track ? { track_id: track } : {}), class_id: 0, label: "person", score: 0.9, box, ...(kind ? { kind } : {}) };
}

function filled(...frames: Annotation[]): Annotations {
  const a = new Annotations();
  a.add(frames);
  return a;
}

describe("boxes at a time", () => {
  it("takes the frame of that time as it is", () => {
    const a = filled(frame(0, [person("a", [0, 0, 10, 10])]), frame(40, [person("a", [40, 0, 10, 10])]));
    expect(a.at(T + 40)?.boxes).toEqual([
      { track_id: "a", label: "person", score: 0.9, kind: "detected", box: [40, 0, 10, 10], firm: true },
    ]);
    expect(a.at(T + 46)?.boxes[0]?.box).toEqual([40, 0, 10, 10]);
  });

  it("moves a track in a straight line between two frames", () => {
    const a = filled(frame(0, [person("a", [0, 0, 10, 20])]), frame(200, [person("a", [100, 50, 30, 40])]));
    expect(a.at(T + 50)).toMatchObject({
      time: T + 50, width: 640, height: 360,
      boxes: [{ track_id: "a", kind: "interpolated", box: [25, 12.5, 15, 25] }],
    });
  });

  it("keeps objects without a partner with the nearer frame", () => {
    const a = filled(
      frame(0, [person("gone", [0, 0, 1, 1]), person(undefined, [1, 1, 1, 1])]),
      frame(200, [person("new", [9, 9, 1, 1])]),
    );
    expect(a.at(T + 60)?.boxes.map((b) => b.track_id)).toEqual(["gone", undefined]);
    expect(a.at(T + 140)?.boxes.map((b) => b.track_id)).toEqual(["new"]);
  });

  it("does not bridge a long gap, and holds the last frame only briefly", () => {
    const a = filled(frame(0, [person("a", [0, 0, 1, 1])]), frame(5000, [person("a", [9, 0, 1, 1])]));
    expect(a.at(T + 300)?.boxes).toHaveLength(1);
    expect(a.at(T + 2500)).toBeUndefined();
    expect(a.at(T + 5300)?.time).toBe(T + 5000);
    expect(a.at(T + 5600)).toBeUndefined();
    expect(a.at(T - 100)).toBeUndefined();
  });

  it("orders late frames, replaces repeated ones and skips bad times", () => {
    const a = filled(frame(200, [person("a", [20, 0, 1, 1])]), frame(0, null), frame(100, [person("a", [10, 0, 1, 1])]));
    a.add([frame(100, [person("a", [11, 0, 1, 1])]), { ...frame(0, null), time: "yesterday" }]);
    expect(a.size).toBe(3);
    expect(a.at(T + 100)?.boxes[0]?.box).toEqual([11, 0, 1, 1]);
    expect(a.at(T)?.boxes).toEqual([]);
    expect(a.newest()?.time).toBe(T + 200);
  });

  it("forgets what is older than it keeps", () => {
    const a = new Annotations(1000);
    a.add([frame(0, null), frame(500, null), frame(1600, null)]);
    expect(a.size).toBe(1);
    a.clear();
    expect(a.newest()).toBeUndefined();
  });

  it("is firm near a detection of the same track only", () => {
    const a = filled(
      frame(0, [person("a", [0, 0, 1, 1], "detected"), person("b", [0, 0, 1, 1], "interpolated")]),
      frame(200, [person("a", [2, 0, 1, 1]), person("b", [2, 0, 1, 1])], "interpolated"),
      frame(400, [person("a", [4, 0, 1, 1]), person("b", [4, 0, 1, 1])], "extrapolated"),
    );
    expect(a.at(T + 200)?.boxes.map((b) => [b.track_id, b.kind, b.firm])).toEqual([
      ["a", "interpolated", true],
      ["b", "interpolated", false],
    ]);
    expect(a.at(T + 400)?.boxes.map((b) => [b.kind, b.firm])).toEqual([
      ["extrapolated", false],
      ["extrapolated", false],
    ]);
  });
});

it("mixes boxes corner by corner", () => {
  expect(mix([0, 10, 20, 30], [10, 0, 40, 30], 0.5)).toEqual([5, 5, 30, 30]);
});

it("counts labels, the most frequent first", () => {
  expect(countLabels([{ label: "dog" }, { label: "person" }, { label: "person" }, { label: "car" }])).toEqual([
    ["person", 2], ["car", 1], ["dog", 1],
  ]);
});
