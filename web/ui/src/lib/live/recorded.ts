// The boxes of recorded video, loaded in pieces around the moment played.
import { annotations } from "../api";
import { rfc3339 } from "../util/format";
import { Annotations, type Moment } from "./boxes";

const PIECE_MS = 20_000;
const MANY = 60_000;
const PIECE_LIMIT = 4000;

export class RecordedBoxes {
  #boxes = new Annotations(Infinity);
  #asked = new Set<number>();
  #abort = new AbortController();

  constructor(
    readonly camera: string,
    readonly onload: () => void,
  ) {}

  /** The boxes at a time; starts loading what is missing there and next. */
  at(time: number): Moment | undefined {
    const piece = Math.floor(time / PIECE_MS);
    this.#load(piece);
    if (time % PIECE_MS > PIECE_MS / 2) this.#load(piece + 1);
    return this.#boxes.at(time);
  }

  close(): void {
    this.#abort.abort();
  }

  #load(piece: number): void {
    if (this.#asked.has(piece)) return;
    if (this.#boxes.size > MANY) {
      this.#boxes.clear();
      this.#asked.clear();
    }
    this.#asked.add(piece);
    const from = rfc3339(piece * PIECE_MS - 1000);
    const to = rfc3339((piece + 1) * PIECE_MS + 1000);
    annotations({ camera_id: this.camera, from, to }, PIECE_LIMIT, this.#abort.signal).then(
      (frames) => {
        this.#boxes.add(frames);
        this.onload();
      },
      () => {
        // Asked for again in a moment, when it is still needed.
        setTimeout(() => this.#asked.delete(piece), 3000);
      },
    );
  }
}
