// The keys of the recordings page.

export const SPEEDS = [1, 2, 4, 8] as const;

/** What a key asks for. */
export type Wish =
  | { do: "toggle" | "sound" | "select-start" | "select-end" | "unselect" | "keep" | "help" }
  | { do: "jump"; ms: number }
  | { do: "moment"; back: boolean }
  | { do: "speed"; rate: number }
  | { do: "zoom"; closer: boolean }
  | { do: "day"; days: number };

/** For people: keys and what they do. */
export const KEYS: readonly (readonly [keys: string, does: string])[] = [
  ["Space", "play or pause"],
  ["← →", "10 seconds back or on; with Shift a minute"],
  ["P N", "event before, event after"],
  ["1 2 4 8", "speed"],
  ["M", "sound, where there is any"],
  ["+ −", "look closer at the timeline, or at more of it"],
  ["I O", "begin or end the selection here"],
  ["K", "keep the selection"],
  ["Esc", "drop the selection"],
  ["[ ]", "day before, day after"],
];

interface Pressed {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

/** The wish behind a key, if it is one. */
export function wishOf(e: Pressed): Wish | undefined {
  if (e.ctrlKey || e.altKey || e.metaKey) return undefined;
  switch (e.key.length === 1 ? e.key.toLowerCase() : e.key) {
    case " ":
      return { do: "toggle" };
    case "ArrowLeft":
      return { do: "jump", ms: e.shiftKey ? -60_000 : -10_000 };
    case "ArrowRight":
      return { do: "jump", ms: e.shiftKey ? 60_000 : 10_000 };
    case "m":
      return { do: "sound" };
    case "p":
      return { do: "moment", back: true };
    case "n":
      return { do: "moment", back: false };
    case "1":
    case "2":
    case "4":
    case "8":
      return { do: "speed", rate: Number(e.key) };
    case "+":
    case "=":
      return { do: "zoom", closer: true };
    case "-":
      return { do: "zoom", closer: false };
    case "i":
      return { do: "select-start" };
    case "o":
      return { do: "select-end" };
    case "k":
      return { do: "keep" };
    case "Escape":
      return { do: "unselect" };
    case "[":
      return { do: "day", days: -1 };
    case "]":
      return { do: "day", days: 1 };
    case "?":
      return { do: "help" };
    default:
      return undefined;
  }
}

/** Keys belong to what is typed into, and to dialogs. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return false;
  return target.closest("input, select, textarea, dialog, [contenteditable]") !== null;
}
