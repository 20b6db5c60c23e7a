// Marks on spans of time whose recordings stay.
import type { Keep } from "../api/types";
import type { Span } from "../util/spans";

export interface Kept extends Span {
  id: string;
  note: string;
}

/** The marks in order of their time, the newest first. */
export function keptSpans(keeps: readonly Keep[] | undefined): Kept[] {
  return (keeps ?? [])
    .map((k) => ({ id: k.id, note: k.note ?? "", start: Date.parse(k.from), end: Date.parse(k.to) }))
    .sort((a, b) => b.start - a.start);
}

/** An id for a new mark, of its label for people who read the API, and of the moment it was made. */
export function keepID(label: string, made = Date.now()): string {
  const words = label
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return `${words || "kept"}-${made.toString(36)}`;
}
