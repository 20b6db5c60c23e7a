// Plays recorded video of a camera from any moment on, by HLS without coding it
// again: a playlist of an hour around the moment, and the next one where it ends.
import Hls from "hls.js/light";
import { messageOf, playlist, recordingFrom } from "../api";
import { endOfParts, toMedia, toWall, type Part } from "./parts";

/** How much of the day one playlist holds before and after the moment asked for, ms. */
const BEFORE = 10 * 60_000;
const AFTER = 50 * 60_000;

/** Files in a row that may not be had, before that is said. */
const MOST_LOST = 3;

/** What the owner is told. */
export interface Told {
  /** A moment that is not recorded was asked for, or reached: playback goes on at another. */
  skipped: (from: number, to: number) => void;
  /** There is nothing recorded from this moment on. */
  over: (at: number) => void;
  /** Whether what is played has sound. */
  sound: (there: boolean) => void;
  /** This browser cannot play the video: pictures have to do. */
  unplayable: () => void;
  trouble: (text: string) => void;
}

/** A way to show recorded video. */
export interface Replay {
  seek(t: number): void;
  play(): void;
  pause(): void;
  setRate(rate: number): void;
  close(): void;
}

export class HlsReplay implements Replay {
  #hls: Hls | undefined;
  #span = { start: 0, end: 0 };
  #wanted = 0;
  #turn = 0;
  #recovered = 0;
  #lost = 0;
  #resume: number | undefined;
  #rate = 1;
  #going = true;

  constructor(
    readonly video: HTMLVideoElement,
    readonly camera: string,
    readonly told: Told,
  ) {
    video.addEventListener("ended", this.#ended);
    video.addEventListener("waiting", this.#waiting);
  }

  static supported(): boolean {
    return Hls.isSupported();
  }

  /** Goes to a moment; where nothing is recorded, to the next one that is. */
  seek(t: number): void {
    this.#lost = 0;
    this.#go(t);
  }

  /** The moment of the frame at mediaTime (default: the one shown). */
  timeAt(mediaTime = this.video.currentTime): number | undefined {
    return toWall(this.#parts(), mediaTime);
  }

  play(): void {
    this.#going = true;
    this.video.play().catch(() => undefined);
  }

  pause(): void {
    this.#going = false;
    this.video.pause();
  }

  setRate(rate: number): void {
    this.#rate = rate;
    this.video.defaultPlaybackRate = rate;
    this.video.playbackRate = rate;
  }

  close(): void {
    this.#turn++;
    this.video.removeEventListener("ended", this.#ended);
    this.video.removeEventListener("waiting", this.#waiting);
    this.#drop();
  }

  #parts(): Part[] {
    const details = this.#hls?.levels[0]?.details;
    return (details?.fragments ?? []).map((f) => ({ media: f.start, length: f.duration, wall: f.programDateTime ?? 0 }));
  }

  #go(t: number): void {
    this.#wanted = t;
    this.#resume = undefined;
    const parts = this.#parts();
    const inside = t >= this.#span.start && t < this.#span.end;
    const media = inside ? toMedia(parts, t) : undefined;
    if (media === undefined) {
      this.#load(t);
      return;
    }
    this.#land(parts, media);
    this.video.currentTime = media;
    if (this.#going) this.play();
  }

  /** Says what was skipped when playback goes on at another moment than wanted. */
  #land(parts: readonly Part[], media: number): void {
    const wall = toWall(parts, media);
    if (wall !== undefined && wall > this.#wanted + 1500) this.told.skipped(this.#wanted, wall);
  }

  #load(t: number): void {
    this.#drop();
    this.#resume = undefined;
    const turn = ++this.#turn;
    this.#span = { start: t - BEFORE, end: t + AFTER };
    const hls = new Hls({
      autoStartLoad: false, enableWorker: false, maxBufferLength: 40, maxMaxBufferLength: 90, backBufferLength: 40,
      // Files follow each other to the millisecond, but pictures of a second or more are no hole.
      maxBufferHole: 1,
      fragLoadPolicy: {
        default: {
          maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 60_000,
          timeoutRetry: { maxNumRetry: 2, retryDelayMs: 0, maxRetryDelayMs: 0 },
          errorRetry: { maxNumRetry: 3, retryDelayMs: 500, maxRetryDelayMs: 4000 },
        },
      },
    });
    this.#hls = hls;
    hls.once(Hls.Events.LEVEL_LOADED, () => {
      const parts = this.#parts();
      const media = toMedia(parts, this.#wanted);
      if (media === undefined) {
        void this.#find(this.#wanted, turn);
        return;
      }
      this.#land(parts, media);
      hls.startLoad(media);
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      this.setRate(this.#rate);
      if (this.#going) this.play();
    });
    hls.on(Hls.Events.BUFFER_CODECS, (_, tracks) => this.told.sound(Boolean(tracks.audio) || /mp4a|opus/i.test(tracks.audiovideo?.codec ?? "")));
    hls.on(Hls.Events.FRAG_BUFFERED, () => (this.#lost = this.#recovered = 0));
    hls.on(Hls.Events.ERROR, (_, e) => {
      if (turn !== this.#turn) return;
      if (e.details === Hls.ErrorDetails.FRAG_LOAD_ERROR && e.response?.code === 404 && e.frag?.programDateTime) {
        this.#gone(e.frag.programDateTime + e.frag.duration * 1000 + 1);
        return;
      }
      if (!e.fatal) return;
      if (e.details === Hls.ErrorDetails.MANIFEST_LOAD_ERROR && e.response?.code === 404) {
        void this.#find(this.#wanted, turn);
      } else if (e.type === Hls.ErrorTypes.NETWORK_ERROR) {
        this.told.trouble("The recording could not be loaded.");
      } else if (e.type === Hls.ErrorTypes.MEDIA_ERROR && !unknownCodec(e.details) && this.#recovered++ < 2) {
        hls.recoverMediaError();
      } else {
        this.told.unplayable();
      }
    });
    hls.loadSource(playlist(this.camera, this.#span.start, this.#span.end));
    hls.attachMedia(this.video);
  }

  /** A file is not there any more: playback goes on at t, after what is loaded has been shown. */
  #gone(t: number): void {
    const { buffered, currentTime } = this.video;
    const ahead = Array.from({ length: buffered.length }, (_, i) => buffered.end(i)).some((end) => end > currentTime + 0.5);
    if (ahead) this.#resume = t;
    else if (++this.#lost > MOST_LOST) this.told.trouble("The files of this time are not there.");
    else this.#load((this.#wanted = t));
  }

  #waiting = (): void => {
    if (this.#resume !== undefined) this.#gone(this.#resume);
  };

  /** The playlist holds nothing from t on: what comes after it, if anything does. */
  async #find(t: number, turn: number): Promise<void> {
    try {
      const start = await nextRecorded(this.camera, t);
      if (turn !== this.#turn) return;
      if (start === undefined) {
        this.told.over(t);
        return;
      }
      if (start > t + 1500) this.told.skipped(t, start);
      this.#load((this.#wanted = start));
    } catch (err) {
      if (turn === this.#turn) this.told.trouble(messageOf(err));
    }
  }

  #ended = (): void => {
    const end = endOfParts(this.#parts());
    if (end !== undefined) void this.#find(end + 1, this.#turn);
  };

  #drop(): void {
    if (!this.#hls) return;
    // hls.js releases the URL of its media source first: a video that was about
    // to open it would complain that it is gone.
    this.video.removeAttribute("src");
    this.video.load();
    this.#hls.destroy();
    this.#hls = undefined;
  }
}

/** Where the first recording after a moment begins. */
export async function nextRecorded(camera: string, t: number, signal?: AbortSignal): Promise<number | undefined> {
  for (let tries = 0; tries < 3; tries++) {
    const next = await recordingFrom(camera, t, signal);
    if (!next) return undefined;
    const start = Date.parse(next.start);
    if (start >= t) return start;
    t = Date.parse(next.end) + 2; // its last moment, of which there is no picture
  }
  return undefined;
}

function unknownCodec(details: string): boolean {
  const d = Hls.ErrorDetails;
  return details === d.MANIFEST_INCOMPATIBLE_CODECS_ERROR || details === d.BUFFER_ADD_CODEC_ERROR || details === d.BUFFER_INCOMPATIBLE_CODECS_ERROR;
}
