// The daemon's live updates: one EventSource for the whole page. Views say
// which cameras' detections they want; everything else always comes.
import { streamURL } from "../api";
import type { Annotation, Result, RunningModel, RunningState, Status, Track } from "../api/types";

export interface FeedEvents {
  "camera.state": Status;
  "camera.changed": { camera_id: string; action: "created" | "updated" | "deleted" };
  detections: { camera_id: string; frames: Annotation[] | null };
  track: Track;
  "model.changed": Pick<RunningModel, "client_id" | "camera_id" | "revision">;
  "models.changed": unknown;
  "model.state": RunningState;
  "promotions.changed": { id: string };
  result: Result;
  health: { cameras: Status[] | null };
}

type Kind = keyof FeedEvents;
type Handler<K extends Kind> = (data: FeedEvents[K]) => void;

const KINDS: Kind[] = [
  "camera.state", "camera.changed", "detections", "track",
  "model.changed", "models.changed", "model.state", "promotions.changed", "result", "health",
];

/** No event for this long (health comes every second) means a dead connection, ms. */
const SILENCE_MS = 20_000;

class Feed {
  /** "lost" after the first failure until the next event. */
  state = $state<"starting" | "open" | "lost">("starting");
  lostSince = $state(0);

  #source: EventSource | undefined;
  #handlers = new Map<Kind, Set<(data: never) => void>>();
  #wanted = new Map<symbol, readonly string[]>();
  #cameras: readonly string[] = [];
  #retry = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heard = 0;

  start(): void {
    this.#open();
    setInterval(() => {
      if (this.state === "open" && Date.now() - this.#heard > SILENCE_MS) this.#lost();
    }, 5_000);
  }

  /** Calls handler for every event of the kind; returns how to stop. */
  on<K extends Kind>(kind: K, handler: Handler<K>): () => void {
    const set = this.#handlers.get(kind) ?? new Set();
    set.add(handler);
    this.#handlers.set(kind, set);
    return () => void set.delete(handler);
  }

  /** Asks for the detections of these cameras ("*" is all); returns how to stop. */
  want(cameras: readonly string[]): () => void {
    const key = Symbol("want");
    this.#wanted.set(key, cameras);
    this.#refresh();
    return () => {
      this.#wanted.delete(key);
      this.#refresh();
    };
  }

  /** Reconnects at once instead of waiting for the next try. */
  retryNow(): void {
    this.#retry = 0;
    this.#open();
  }

  #refresh(): void {
    const ids = new Set([...this.#wanted.values()].flat());
    const next = ids.has("*") ? ["*"] : [...ids].sort();
    if (next.join() === this.#cameras.join()) return;
    this.#cameras = next;
    // Views come and go together: one reconnect for all of them.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), 30);
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource(streamURL(this.#cameras));
    this.#source = source;
    source.onopen = () => this.#alive();
    source.onerror = () => {
      if (source === this.#source) this.#lost();
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (e) => {
        this.#alive();
        this.#emit(kind, (e as MessageEvent<string>).data);
      });
    }
  }

  #emit(kind: Kind, text: string): void {
    let data: never;
    try {
      data = JSON.parse(text) as never;
    } catch {
      return;
    }
    this.#handlers.get(kind)?.forEach((h) => h(data));
  }

  #alive(): void {
    this.#heard = Date.now();
    this.#retry = 0;
    if (this.state !== "open") this.state = "open";
  }

  #lost(): void {
    this.#source?.close();
    if (this.state !== "lost") this.lostSince = Date.now();
    this.state = "lost";
    const wait = Math.min(10_000, 500 * 2 ** this.#retry++) * (0.75 + Math.random() / 2);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), wait);
  }
}

export const feed = new Feed();
