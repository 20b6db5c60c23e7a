// Draws the boxes of a moment onto a canvas that lies over a picture shown
// with object-fit: contain.
import type { DrawnBox, Moment } from "./boxes";
import { colourOf } from "./palette";
import { placeTags, type Rect } from "./tags";

/** Wider canvases get thicker lines and larger words, CSS pixels. */
const LARGE = 700;

export interface Size {
  width: number;
  height: number;
}

/** Where a picture lies, and the pixels of the screen for each of its own, across and down. */
export interface Fit {
  x: number;
  y: number;
  sx: number;
  sy: number;
}

/**
 * Where a stored picture lies inside a box of w × h when it is kept whole in the
 * size in which it is shown. The two sizes differ in shape when pixels are not
 * square: videoWidth and videoHeight are those of square ones.
 */
export function contain(stored: Size, shown: Size, w: number, h: number): Fit {
  if (Math.min(stored.width, stored.height, shown.width, shown.height) <= 0) return { x: 0, y: 0, sx: 0, sy: 0 };
  const scale = Math.min(w / shown.width, h / shown.height);
  const [width, height] = [shown.width * scale, shown.height * scale];
  return { x: (w - width) / 2, y: (h - height) / 2, sx: width / stored.width, sy: height / stored.height };
}

/** The size in which a video is shown, once it is known; ratio is that of its true width and height. */
export function sizeOf(video: HTMLVideoElement | null | undefined, ratio?: number): Size | undefined {
  if (!video?.videoWidth || !video.videoHeight) return undefined;
  return { width: ratio ? video.videoHeight * ratio : video.videoWidth, height: video.videoHeight };
}

export interface DrawOptions {
  highlight?: number;
  /** The size in which the picture below is shown; none: that of the moment. */
  shown?: Size | undefined;
}

export function drawMoment(canvas: HTMLCanvasElement, m: Moment | undefined, o: DrawOptions = {}): void {
  const w = canvas.clientWidth;
  const h = canvas.clientHeight;
  const ratio = window.devicePixelRatio || 1;
  const [pw, ph] = [Math.round(w * ratio), Math.round(h * ratio)];
  if (canvas.width !== pw || canvas.height !== ph) {
    canvas.width = pw;
    canvas.height = ph;
  }
  publish(canvas, m);
  const g = canvas.getContext("2d");
  if (!g) return;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, w, h);
  if (!m) return;
  const fit = contain(m, o.shown ?? m, w, h);
  const rects = m.boxes.map((b) => place(b, fit));
  m.boxes.forEach((b, i) => outline(g, b, rects[i] as Rect, w, o.highlight === i));
  tags(g, m.boxes, rects, w, h);
}

/** What is drawn, for tests and for assistive scripts. */
function publish(canvas: HTMLCanvasElement, m: Moment | undefined): void {
  const boxes = JSON.stringify(m?.boxes ?? []);
  if (canvas.dataset.boxes !== boxes) canvas.dataset.boxes = boxes;
  const time = m && m.time > 0 ? new Date(m.time).toISOString() : "";
  if (canvas.dataset.time !== time) canvas.dataset.time = time;
}

function place(b: DrawnBox, fit: Fit): Rect {
  return {
    x: fit.x + b.box[0] * fit.sx,
    y: fit.y + b.box[1] * fit.sy,
    w: b.box[2] * fit.sx,
    h: b.box[3] * fit.sy,
  };
}

function outline(g: CanvasRenderingContext2D, b: DrawnBox, r: Rect, width: number, highlighted: boolean): void {
  const colour = colourOf(b.label);
  const line = (width > LARGE ? 2.5 : 2) * (b.firm ? 1 : 0.65) + (highlighted ? 2 : 0);
  if (highlighted) {
    g.fillStyle = `${colour}40`;
    g.fillRect(r.x, r.y, r.w, r.h);
  }
  g.setLineDash(b.firm ? [] : [6, 4]);
  // A dark rim keeps a bright line visible on a bright picture.
  g.strokeStyle = "rgb(0 0 0 / 0.55)";
  g.lineWidth = line + 2;
  g.strokeRect(r.x, r.y, r.w, r.h);
  g.strokeStyle = colour;
  g.lineWidth = line;
  g.strokeRect(r.x, r.y, r.w, r.h);
  g.setLineDash([]);
}

function tags(g: CanvasRenderingContext2D, boxes: readonly DrawnBox[], rects: readonly Rect[], width: number, height: number): void {
  const size = width > LARGE ? 13 : 11;
  const tall = size + 5;
  g.font = `600 ${size}px system-ui, sans-serif`;
  g.textBaseline = "middle";
  const texts = boxes.map((b) => `${b.label} ${b.score.toFixed(2)}`);
  const widths = texts.map((t) => Math.ceil(g.measureText(t).width) + 8);
  placeTags(rects, widths, tall, width, height).forEach((t, i) => {
    g.fillStyle = colourOf((boxes[i] as DrawnBox).label);
    g.fillRect(t.x, t.y, t.w, t.h);
    g.fillStyle = "#000";
    g.fillText(texts[i] as string, t.x + 4, t.y + tall / 2 + 0.5);
  });
}
