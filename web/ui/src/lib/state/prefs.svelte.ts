// What this browser remembers: theme, size of the tiles, the client looked at.

export type Theme = "auto" | "light" | "dark";
export type TileSize = "small" | "medium" | "large";

function read(key: string, fallback: string): string {
  try {
    return localStorage.getItem(`detectd.${key}`) ?? fallback;
  } catch {
    return fallback;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(`detectd.${key}`, value);
  } catch {
    // Storage is blocked: the choice lasts until the page is closed.
  }
}

class Prefs {
  #theme = $state(read("theme", "auto") as Theme);
  #tiles = $state(read("tiles", "medium") as TileSize);
  #client = $state(read("client", ""));
  #author = $state(read("author", ""));
  #boxes = $state(read("boxes", "on") !== "off");
  #zones = $state(read("zones", "on") !== "off");

  get theme(): Theme {
    return this.#theme;
  }
  set theme(v: Theme) {
    this.#theme = v;
    write("theme", v);
    if (v === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = v;
  }

  get tiles(): TileSize {
    return this.#tiles;
  }
  set tiles(v: TileSize) {
    this.#tiles = v;
    write("tiles", v);
  }

  /** The client whose cameras are shown; "" is all of them. */
  get client(): string {
    return this.#client;
  }
  set client(v: string) {
    this.#client = v;
    write("client", v);
  }

  /** Who makes changes here, for the histories. */
  get author(): string {
    return this.#author;
  }
  set author(v: string) {
    this.#author = v;
    write("author", v);
  }

  get boxes(): boolean {
    return this.#boxes;
  }
  set boxes(v: boolean) {
    this.#boxes = v;
    write("boxes", v ? "on" : "off");
  }

  /** Zones, lines and masks are drawn on a camera's live video. */
  get zones(): boolean {
    return this.#zones;
  }
  set zones(v: boolean) {
    this.#zones = v;
    write("zones", v ? "on" : "off");
  }
}

export const prefs = new Prefs();
