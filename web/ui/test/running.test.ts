import { describe, expect, it } from "vitest";
import { compare, follows, inputOf, merge, settingsOf, told, type Settings } from "../src/lib/util/running";

const none: Settings = {
  model: "yard", version: 0, alias: "", min_score: 0, min_scores: {}, nms_iou: 0, nms_ious: {},
  classes: [], zones: [], detect_fps: 0, fast_fps: 0, provider: "",
};
const full: Settings = {
  model: "yard", version: 0, alias: "champion", min_score: 0.5, min_scores: { car: 0.6, bus: 0.4 }, nms_iou: 0.4, nms_ious: { person: 0.7 },
  classes: ["person", "car"], zones: ["gate"], detect_fps: 4, fast_fps: 12, provider: "cpu",
};

describe("running models", () => {
  it("send only what they say", () => {
    expect(inputOf(none, " ")).toEqual({ model: "yard" });
    expect(inputOf({ ...full, alias: "" , version: 3 }, " why ")).toEqual({
      model: "yard", version: 3, min_score: 0.5, min_scores: { car: 0.6, bus: 0.4 }, nms_iou: 0.4, nms_ious: { person: 0.7 },
      classes: ["person", "car"], zones: ["gate"], detect_fps: 4, fast_fps: 12, provider: "cpu", reason: "why",
    });
  });

  it("are told in words", () => {
    expect([follows(none), follows(full), follows({ version: 3, alias: "" })]).toEqual(["newest", "@champion", "3"]);
    expect(told(none)).toEqual([]);
    expect(told(full)).toContainEqual({ what: "Lowest score by class", value: "bus 0.4, car 0.6" });
    expect(told(full)).toHaveLength(9);
  });

  it("take the settings out of a record", () => {
    const record = { ...full, client_id: "a", camera_id: "", revision: 3, effective: { model: "yard", version: 2, from: "client" as const } };
    expect(settingsOf(record)).toEqual(full);
  });

  it("are merged setting by setting, for every one of them", () => {
    const mine = { ...none, min_score: 0.3, classes: ["car"], detect_fps: 2 };
    const theirs = { ...none, min_score: 0.4, zones: ["gate"], alias: "champion" };
    const by = Object.fromEntries(compare(none, theirs, mine).map((c) => [c.what, c.by]));
    expect(by).toMatchObject({
      Model: "them", "Lowest score": "both", Classes: "me", "Only in zones": "them", "Detections a second": "me", Provider: "none",
    });
    expect(merge(theirs, mine, ["Classes", "Detections a second"])).toEqual({ ...theirs, classes: ["car"], detect_fps: 2 });
    const every = compare(none, full, none).map((c) => c.what);
    expect(merge(none, full, every)).toEqual(full);
    expect(merge(full, none, every)).toEqual(none);
  });
});
