// Live view without HLS: the newest frame, fetched again and again. Each
// answer says when its frame was captured, so boxes fit it.
import { cameras } from "../api";

export interface Picture {
  url: string;
  /** Capture time in ms, or undefined when the server did not say. */
  time: number | undefined;
}

/**
 * Fetches frames one after the other, at most fps a second, until stopped.
 * The caller shows each picture and revokes nothing: the URL of a picture is
 * released when the one after the next arrives.
 */
export function pollPictures(camera: string, fps: number, show: (p: Picture) => void, fail: () => void): () => void {
  const abort = new AbortController();
  const held: string[] = [];
  const loop = async () => {
    let failures = 0;
    while (!abort.signal.aborted) {
      const began = performance.now();
      try {
        if (!document.hidden) {
          const picture = await fetchPicture(camera, abort.signal);
          held.push(picture.url);
          if (held.length > 2) URL.revokeObjectURL(held.shift() as string);
          show(picture);
        }
        failures = 0;
      } catch {
        if (abort.signal.aborted) break;
        failures++;
        if (failures === 2) fail();
      }
      const pause = failures > 0 ? Math.min(8000, 500 * 2 ** failures) : 1000 / fps;
      await wait(Math.max(30, pause - (performance.now() - began)), abort.signal);
    }
    held.forEach((u) => URL.revokeObjectURL(u));
  };
  void loop();
  return () => abort.abort();
}

async function fetchPicture(camera: string, signal: AbortSignal): Promise<Picture> {
  const res = await fetch(cameras.frame(camera), { signal, cache: "no-store" });
  if (!res.ok) throw new Error(`the server answered ${res.status}`);
  const time = Date.parse(res.headers.get("X-Frame-Time") ?? "");
  return { url: URL.createObjectURL(await res.blob()), time: Number.isFinite(time) ? time : undefined };
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
