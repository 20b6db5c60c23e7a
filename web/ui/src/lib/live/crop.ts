// The part of a frame that shows one object, for a small picture of it.
import type { Rect } from "./tags";

/** The box with room around it, in the given aspect (width / height), inside the frame. */
export function cropAround(box: readonly number[], frameW: number, frameH: number, aspect: number): Rect {
  const [x = 0, y = 0, w = 0, h = 0] = box;
  const room = 1.5;
  // Not closer than an eighth of the frame: more would only show blocks.
  let cw = Math.max(w * room, h * room * aspect, frameW / 8);
  let ch = cw / aspect;
  const shrink = Math.min(1, frameW / cw, frameH / ch);
  cw *= shrink;
  ch *= shrink;
  return {
    x: Math.max(0, Math.min(frameW - cw, x + w / 2 - cw / 2)),
    y: Math.max(0, Math.min(frameH - ch, y + h / 2 - ch / 2)),
    w: cw,
    h: ch,
  };
}
