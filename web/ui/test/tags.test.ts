import { expect, it } from "vitest";
import { cropAround } from "../src/lib/live/crop";
import { placeTags } from "../src/lib/live/tags";

it("puts a tag above its box, or below where the picture ends", () => {
  expect(placeTags([{ x: 10, y: 50, w: 20, h: 40 }], [60], 15, 320, 180)).toEqual([{ x: 10, y: 35, w: 60, h: 15 }]);
  expect(placeTags([{ x: 10, y: 5, w: 20, h: 40 }], [60], 15, 320, 180)).toEqual([{ x: 10, y: 45, w: 60, h: 15 }]);
  expect(placeTags([{ x: 300, y: 50, w: 20, h: 40 }], [60], 15, 320, 180)).toEqual([{ x: 260, y: 35, w: 60, h: 15 }]);
});

it("keeps the tags of neighbours apart while there is room", () => {
  const boxes = [100, 110, 120].map((x) => ({ x, y: 50, w: 10, h: 40 }));
  const tags = placeTags(boxes, [50, 50, 50], 15, 320, 180);
  for (let i = 0; i < tags.length; i++) {
    for (let k = 0; k < i; k++) {
      const [a, b] = [tags[i], tags[k]] as const;
      if (!a || !b) throw new Error("a tag is missing");
      expect(a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h).toBe(false);
    }
  }
});

it("cuts a picture of an object out of its frame", () => {
  const c = cropAround([300, 100, 60, 120], 768, 576, 4 / 3);
  expect(c).toEqual({ x: 210, y: 70, w: 240, h: 180 });
  expect(cropAround([0, 0, 10, 10], 768, 576, 4 / 3)).toEqual({ x: 0, y: 0, w: 96, h: 72 });
  expect(cropAround([0, 0, 768, 576], 768, 576, 4 / 3)).toEqual({ x: 0, y: 0, w: 768, h: 576 });
  expect(cropAround([740, 560, 20, 10], 768, 576, 4 / 3)).toEqual({ x: 672, y: 504, w: 96, h: 72 });
});
