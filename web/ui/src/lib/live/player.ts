// HLS playback of one live camera with the capture time of what is shown.
import Hls, { type HlsConfig, type LoaderCallbacks, type LoaderConfiguration, type LoaderContext } from "hls.js/light";

/** Why HLS cannot be used: "never" for this video, or not "yet". */
export type Trouble = "never" | "yet";

const BaseLoader = Hls.DefaultConfig.loader;

/**
 * Loads playlists without asking the server to hold the answer back. A held
 * request occupies one of the six connections that a browser opens to a host,
 * which a grid of cameras cannot spare.
 */
class PollingLoader extends BaseLoader {
  override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
    const at = context.url.indexOf("?");
    if (at >= 0) {
      const params = new URLSearchParams(context.url.slice(at + 1));
      for (const name of [...params.keys()]) if (name.startsWith("_HLS_")) params.delete(name);
      const q = params.toString();
      context.url = context.url.slice(0, at) + (q ? `?${q}` : "");
    }
    super.load(context, config, callbacks);
  }
}

const CONFIG: Partial<HlsConfig> = {
  liveSyncDurationCount: 2,
  liveMaxLatencyDurationCount: 8,
  maxLiveSyncPlaybackRate: 1.1,
  maxBufferLength: 12,
  backBufferLength: 6,
  manifestLoadPolicy: {
    default: {
      maxTimeToFirstByteMs: 12_000,
      maxLoadTimeMs: 20_000,
      timeoutRetry: null,
      errorRetry: null,
    },
  },
};

export class LivePlayer {
  #hls: Hls;
  #recovered = false;

  /** large asks for the lowest delay, at the price of a connection held open. */
  constructor(
    readonly video: HTMLVideoElement,
    url: string,
    large: boolean,
    onTrouble: (t: Trouble) => void,
  ) {
    this.#hls = new Hls({
      ...CONFIG,
      lowLatencyMode: large,
      enableWorker: false,
      ...(large ? {} : { pLoader: PollingLoader as unknown as HlsConfig["pLoader"] }),
    });
    this.#hls.on(Hls.Events.ERROR, (_, e) => {
      if (!e.fatal) return;
      if (e.type === Hls.ErrorTypes.MEDIA_ERROR && e.details !== Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
        if (this.#recovered) return onTrouble("never");
        this.#recovered = true;
        this.#hls.recoverMediaError();
        return;
      }
      onTrouble(e.type === Hls.ErrorTypes.NETWORK_ERROR ? "yet" : "never");
    });
    this.#hls.loadSource(url);
    this.#hls.attachMedia(video);
    video.muted = true;
    video.play().catch(() => undefined); // hls.js resumes once there is data
  }

  static supported(): boolean {
    return Hls.isSupported();
  }

  /** The capture time of the frame at mediaTime (default: the one playing), ms. */
  timeAt(mediaTime = this.video.currentTime): number | undefined {
    const date = this.#hls.playingDate;
    return date ? date.getTime() + (mediaTime - this.video.currentTime) * 1000 : undefined;
  }

  destroy(): void {
    // hls.js releases the URL of its media source first: a video that was about
    // to open it would complain that it is gone.
    this.video.removeAttribute("src");
    this.video.load();
    this.#hls.destroy();
  }
}

/** Calls back for every frame that a video shows; returns how to stop. */
export function eachFrame(video: HTMLVideoElement, callback: (mediaTime: number) => void): () => void {
  let handle = 0;
  if ("requestVideoFrameCallback" in video) {
    const next = (_: number, meta: VideoFrameCallbackMetadata) => {
      callback(meta.mediaTime);
      handle = video.requestVideoFrameCallback(next);
    };
    handle = video.requestVideoFrameCallback(next);
    return () => video.cancelVideoFrameCallback(handle);
  }
  const el = video as HTMLVideoElement;
  const tick = () => {
    if (el.readyState >= 2) callback(el.currentTime);
    handle = requestAnimationFrame(tick);
  };
  handle = requestAnimationFrame(tick);
  return () => cancelAnimationFrame(handle);
}
