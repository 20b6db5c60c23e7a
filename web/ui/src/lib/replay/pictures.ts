// Recorded video as single pictures, for what a browser cannot play: Motion
// JPEG anywhere, H.265 in most of them.
import { cameras, messageOf } from "../api";
import { nextRecorded, type Replay, type Told } from "./player";

/** At most this many pictures are asked for in a second. */
const FPS = 6;

export class PictureReplay implements Replay {
  #at = 0;
  #rate = 1;
  #going = true;
  #abort = new AbortController();
  #held: string[] = [];

  constructor(
    readonly camera: string,
    readonly told: Told,
    readonly show: (url: string, time: number) => void,
  ) {}

  seek(t: number): void {
    this.#at = t;
    this.#start();
  }

  play(): void {
    this.#going = true;
    this.#start();
  }

  pause(): void {
    this.#going = false;
  }

  setRate(rate: number): void {
    this.#rate = rate;
  }

  close(): void {
    this.#abort.abort();
    this.#held.forEach((u) => URL.revokeObjectURL(u));
    this.#held = [];
  }

  #start(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    void this.#run(this.#abort.signal);
  }

  /** Shows the picture at the moment, and while it plays the next ones. */
  async #run(signal: AbortSignal): Promise<void> {
    try {
      do {
        const began = performance.now();
        if (!(await this.#one(signal))) return;
        await new Promise((resolve) => setTimeout(resolve, Math.max(20, 1000 / FPS - (performance.now() - began))));
        if (this.#going) this.#at += (performance.now() - began) * this.#rate;
      } while (this.#going && !signal.aborted);
    } catch (err) {
      if (!signal.aborted) this.told.trouble(messageOf(err));
    }
  }

  async #one(signal: AbortSignal): Promise<boolean> {
    const res = await fetch(cameras.frame(this.camera, new Date(this.#at).toISOString()), { signal });
    if (res.ok) {
      const url = URL.createObjectURL(await res.blob());
      if (signal.aborted) {
        URL.revokeObjectURL(url);
        return false;
      }
      this.#held.push(url);
      if (this.#held.length > 2) URL.revokeObjectURL(this.#held.shift() as string);
      this.show(url, Date.parse(res.headers.get("X-Frame-Time") ?? "") || this.#at);
      return true;
    }
    if (res.status !== 404) throw new Error(`the server answered ${res.status}`);
    const start = await nextRecorded(this.camera, this.#at, signal);
    if (start === undefined) {
      this.told.over(this.#at);
      return false;
    }
    this.told.skipped(this.#at, start);
    this.#at = start;
    return true;
  }
}
