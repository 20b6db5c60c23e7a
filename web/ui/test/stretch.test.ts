import { expect, it } from "vitest";
import { lacking, missing, ratioOf, shapeOf, shownAs, stretch } from "../src/lib/live/stretch";

it("gives pictures their true shape", () => {
  const half = { width: 960, height: 1080 };
  expect(shownAs(half, 2)).toEqual({ width: 1920, height: 1080 });
  expect(shownAs(half, undefined)).toEqual(half);
  // in a box of 1920 × 1080: twice as wide, as high as before
  expect(stretch(half, 2, 1920, 1080)).toEqual({ x: 2, y: 1 });
  // in a square: 960 × 540 instead of 853 × 960
  const s = stretch(half, 2, 960, 960);
  expect(s.x * (960 / 1080) * 960).toBeCloseTo(960);
  expect(s.y * 960).toBeCloseTo(540);
  // narrow pixels: lower than before
  expect(stretch({ width: 100, height: 100 }, 0.5, 200, 200)).toEqual({ x: 0.5, y: 1 });
  expect(stretch({ width: 0, height: 0 }, 2, 960, 960)).toEqual({ x: 1, y: 1 });
});

it("knows what a browser has not done", () => {
  const ratio = ratioOf({ width: 528, height: 576, pixel_aspect: 16 / 11 });
  expect(ratio).toBeCloseTo(4 / 3);
  expect(missing({ width: 528, height: 576 }, ratio)).toBeCloseTo(16 / 11);
  expect(missing({ width: 768, height: 576 }, ratio)).toBe(1);
  expect(missing({ width: 769, height: 576 }, ratio)).toBe(1); // rounded
  expect(missing({ width: 528, height: 576 }, undefined)).toBe(1);
  expect(ratioOf({ width: 528, height: 576 })).toBeUndefined();
});

it("stretches recordings of the shape that the camera has today", () => {
  const shape = shapeOf({ width: 528, height: 576, pixel_aspect: 16 / 11 });
  expect(lacking({ width: 528, height: 576 }, shape)).toBeCloseTo(16 / 11);
  expect(lacking({ width: 264, height: 288 }, shape)).toBeCloseTo(16 / 11); // a smaller picture of it
  expect(lacking({ width: 768, height: 576 }, shape)).toBe(1); // the browser has done it
  expect(lacking({ width: 1920, height: 1080 }, shape)).toBe(1); // of other days
  expect(lacking({ width: 0, height: 0 }, shape)).toBe(1);
  expect(lacking({ width: 528, height: 576 }, undefined)).toBe(1);
  expect(shapeOf({ width: 528, height: 576 })).toBeUndefined();
});
