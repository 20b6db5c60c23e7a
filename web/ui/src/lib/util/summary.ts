// What was in a video, label by label.
import type { FrameDetections } from "../api/types";

export interface LabelSum {
  label: string;
  /** Frames with at least one such object. */
  frames: number;
  /** The most such objects in one frame. */
  most: number;
  best: number;
  /** Time of the first one in the video, ms. */
  first: number;
}

/** The label seen in the most frames first. */
export function sumByLabel(list: readonly FrameDetections[]): LabelSum[] {
  const by = new Map<string, LabelSum>();
  for (const f of list) {
    const here = new Map<string, number>();
    for (const d of f.detections) {
      const n = (here.get(d.label) ?? 0) + 1;
      here.set(d.label, n);
      const s = by.get(d.label) ?? { label: d.label, frames: 0, most: 0, best: 0, first: f.pts_ms };
      s.best = Math.max(s.best, d.score);
      s.most = Math.max(s.most, n);
      if (n === 1) s.frames++;
      by.set(d.label, s);
    }
  }
  return [...by.values()].sort((a, b) => b.frames - a.frames || a.label.localeCompare(b.label));
}
