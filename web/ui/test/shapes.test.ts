import { describe, expect, it } from "vitest";
import { blank, fromDocument, inside, moved, rightOf, shapeOf, toDocument, wrong, type Point, type Shape } from "../src/lib/zones/shapes";

const square: Point[] = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]];
const zone = (points: Point[]): Shape => ({ ...blank("zone", []), points });

describe("the document", () => {
  const document = {
    zones: [{ id: "yard", name: "Yard", polygon: square, loiter_seconds: 30, objects: { classes: ["person"], min_score: 0.5 } }],
    lines: [{ id: "gate", from: [0.1, 0.2], to: [0.9, 0.2], direction: "right" as const, objects: { min_area: 0.01 } }],
    masks: [{ id: "tree", polygon: square, classes: ["bird"], max_area: 0.2 }],
  };

  it("survives a round trip unchanged", () => {
    expect(toDocument(fromDocument(document))).toEqual(document);
  });

  it("names the shape that an error is about", () => {
    const shapes = fromDocument(document);
    expect(shapeOf("body.masks[0].polygon", shapes)?.id).toBe("tree");
    expect(shapeOf("body.zones[7].id", shapes)).toBeUndefined();
    expect(shapeOf("body", shapes)).toBeUndefined();
  });
});

it("gives new shapes ids that are free", () => {
  const first = blank("zone", []);
  const second = blank("zone", [first]);
  expect([first.id, second.id, blank("line", [first]).id]).toEqual(["zone-1", "zone-2", "line-1"]);
  expect(second.name).toBe("Zone 2");
});

it("says what is wrong with a shape", () => {
  expect(wrong(zone(square))).toBeUndefined();
  expect(wrong(zone(square.slice(0, 2)))).toMatch(/three corners/);
  expect(wrong(zone([[0.1, 0.1], [0.5, 0.5], [0.5, 0.1], [0.1, 0.5]]))).toMatch(/cross/);
  expect(wrong(zone([[0.1, 0.1], [0.5, 0.1], [0.9, 0.1]]))).toMatch(/no area/);
  expect(wrong({ ...blank("line", []), points: [[0.5, 0.5], [0.5, 0.5]] })).toMatch(/no length/);
  expect(wrong({ ...blank("line", []), points: [[0.1, 0.5], [0.5, 0.5]] })).toBeUndefined();
});

it("keeps points in the picture", () => {
  expect(inside([1.2, -0.1])).toEqual([1, 0]);
  expect(moved(square, 0.9, -0.9)).toEqual([[0.6, 0], [1, 0], [1, 0.4], [0.6, 0.4]]);
});

it("points to the right of a line, walking from its start to its end", () => {
  const [x, y] = rightOf([0.2, 0.5], [0.8, 0.5], 16 / 9); // to the right of the picture: right is down
  expect(x).toBeCloseTo(0);
  expect(y).toBe(1);
  const [a, b] = rightOf([0.5, 0.2], [0.5, 0.8], 2); // downwards: right is left of the picture
  expect(a).toBe(-0.5);
  expect(b).toBeCloseTo(0);
});
