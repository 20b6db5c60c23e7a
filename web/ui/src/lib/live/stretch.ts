// Video of cameras is stored as it is coded, also where pixels are not square. Pictures
// made of it have their true shape, but for older ones.
import { contain, type Size } from "./draw";

/** The size in which a stored picture is shown; aspect is the width of a pixel by its height. */
export function shownAs(stored: Size, aspect: number | undefined): Size {
  return { width: stored.width * (aspect || 1), height: stored.height };
}

/** How much wider and higher than with object-fit: contain the picture has to be in a box of w × h. */
export function stretch(stored: Size, aspect: number, w: number, h: number): { x: number; y: number } {
  const plain = contain(stored, stored, w, h);
  const fit = contain(stored, shownAs(stored, aspect), w, h);
  return plain.sx > 0 ? { x: fit.sx / plain.sx, y: fit.sy / plain.sy } : { x: 1, y: 1 };
}

interface Stretched<T> {
  update(value: T): void;
  destroy(): void;
}

/** How a camera's pictures are stored, and how much wider they are shown. */
export interface Shape {
  width: number;
  height: number;
  aspect: number;
}

/**
 * Shows a video with object-fit: contain in the ratio of its true width and height. Some browsers know
 * the shape of pixels from the coded video, and some want it from the file around it.
 */
export function trueRatio(video: HTMLVideoElement, ratio: number | undefined): Stretched<number | undefined> {
  return follow(video, "resize", ratio, () => ({ width: video.videoWidth, height: video.videoHeight }), missing);
}

/** What the shape of a video lacks; a rounded size is none of it. */
export function missing(size: Size, ratio: number | undefined): number {
  const a = ratio && size.width > 0 ? (ratio * size.height) / size.width : 1;
  return Math.abs(a - 1) < 0.02 ? 1 : a;
}

/** The same for recorded pictures, by what the camera sends today. */
export function trueRecorded(node: HTMLVideoElement | HTMLImageElement, shape: Shape | undefined): Stretched<Shape | undefined> {
  return follow(node, node instanceof HTMLVideoElement ? "resize" : "load", shape, () => naturalSize(node), lacking);
}

/**
 * What a recorded picture lacks. One of another shape than the camera's pictures have
 * today is older than the camera's settings, or a browser has stretched it already.
 */
export function lacking(size: Size, shape: Shape | undefined): number {
  if (!shape || Math.min(size.width, size.height, shape.width, shape.height) <= 0) return 1;
  const same = Math.abs((size.width * shape.height) / (size.height * shape.width) - 1) < 0.01;
  return same ? shape.aspect : 1;
}

/** The size of what is loaded; zeros before. */
export function naturalSize(node: HTMLVideoElement | HTMLImageElement): Size {
  if (node instanceof HTMLVideoElement) return { width: node.videoWidth, height: node.videoHeight };
  return { width: node.naturalWidth, height: node.naturalHeight };
}

function follow<T>(
  node: HTMLElement, event: string, value: T, natural: () => Size,
  aspect: (size: Size, value: T) => number,
): Stretched<T> {
  const apply = (): void => {
    const size = natural();
    const a = aspect(size, value);
    const s = stretch(size, a, node.clientWidth, node.clientHeight);
    node.style.transform = a === 1 ? "" : `scale(${s.x}, ${s.y})`;
  };
  const watch = new ResizeObserver(apply);
  watch.observe(node);
  node.addEventListener(event, apply);
  apply();
  return {
    update(next) {
      value = next;
      apply();
    },
    destroy() {
      watch.disconnect();
      node.removeEventListener(event, apply);
    },
  };
}

/** What a camera's status says of its pictures; undefined while it is not known. */
export function shapeOf(status: { width?: number; height?: number; pixel_aspect?: number } | undefined): Shape | undefined {
  if (!status?.width || !status.height || !status.pixel_aspect) return undefined;
  return { width: status.width, height: status.height, aspect: status.pixel_aspect };
}

/** The true ratio of width and height of a camera's video; undefined while it is not known. */
export function ratioOf(status: { width?: number; height?: number; pixel_aspect?: number } | undefined): number | undefined {
  const s = shapeOf(status);
  return s && (s.width * s.aspect) / s.height;
}
