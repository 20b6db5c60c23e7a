// Where the name tags of boxes go: above their box if there is room that no
// other tag has taken, else somewhere near, so that a crowd stays readable.

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

function overlaps(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** Places tags of the given widths and one height at their boxes inside width × height. */
export function placeTags(boxes: readonly Rect[], widths: readonly number[], tall: number, width: number, height: number): Rect[] {
  const placed: Rect[] = [];
  boxes.forEach((b, i) => {
    const w = widths[i] ?? 0;
    const inside = (x: number, y: number): Rect => ({
      x: Math.max(0, Math.min(x, width - w)),
      y: Math.max(0, Math.min(y, height - tall)),
      w,
      h: tall,
    });
    const right = b.x + b.w - w;
    const spots = [
      inside(b.x, b.y - tall), // above, from the left edge
      inside(right, b.y - tall), // above, to the right edge
      inside(b.x, b.y + b.h), // below
      inside(right, b.y + b.h),
      inside(b.x, b.y - 2 * tall), // above the tag that is there
    ];
    if (b.y < tall) spots.unshift(...spots.splice(2, 2)); // no room above
    placed.push(spots.find((s) => !placed.some((p) => overlaps(p, s))) ?? (spots[0] as Rect));
  });
  return placed;
}
