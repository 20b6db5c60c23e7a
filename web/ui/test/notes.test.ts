import { expect, it } from "vitest";
import { contractLines, tagChanges, tagLines } from "../src/lib/util/notes";

it("writes tags as lines and reads what changed", () => {
  const before = { team: "yard", "detectd.job": "train=318", old: "" };
  const lines = tagLines(before);
  expect(lines).toBe("detectd.job=train=318\nold=\nteam=yard");
  expect(tagChanges(before, lines)).toEqual({ set: {}, remove: [] });
  expect(tagChanges(before, " team = gate \n\nnew\ndetectd.job=train=318")).toEqual({ set: { team: "gate", new: "" }, remove: ["old"] });
  expect(tagChanges({}, "=x")).toContain("KEY=VALUE");
  expect(tagChanges({}, "a=1\na=2")).toContain("twice");
});

it("writes a contract as lines", () => {
  const labels = Array.from({ length: 80 }, (_, i) => `label ${i}`);
  expect(contractLines({ family: "yolox", input: { width: 416, mean: [0, 0, 0] }, labels, objectness: true })).toEqual([
    "family=yolox", "input.width=416", "input.mean=[0,0,0]", "labels=80 values", "objectness=true",
  ]);
});
