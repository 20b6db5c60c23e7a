// Running models as they are edited, told, compared and merged.
import type { RunningModel, RunningModelInput } from "../api/types";

/** The settings of a running model without what the history adds. */
export type Settings = Required<Omit<RunningModelInput, "$schema" | "reason" | "force">>;

type Key = keyof Settings;

/** A record's settings; what it does not say is 0 or empty. */
export function settingsOf(r: RunningModel): Settings {
  return {
    model: r.model, version: r.version, alias: r.alias,
    min_score: r.min_score, min_scores: r.min_scores, nms_iou: r.nms_iou, nms_ious: r.nms_ious,
    classes: r.classes, zones: r.zones, detect_fps: r.detect_fps, fast_fps: r.fast_fps, provider: r.provider,
  };
}

/** What is sent: nothing that is left to the level below. */
export function inputOf(s: Settings, reason: string): RunningModelInput {
  const out: RunningModelInput = { model: s.model };
  if (s.version) out.version = s.version;
  if (s.alias) out.alias = s.alias;
  if (s.min_score) out.min_score = s.min_score;
  if (Object.keys(s.min_scores).length) out.min_scores = s.min_scores;
  if (s.nms_iou) out.nms_iou = s.nms_iou;
  if (Object.keys(s.nms_ious).length) out.nms_ious = s.nms_ious;
  if (s.classes.length) out.classes = s.classes;
  if (s.zones.length) out.zones = s.zones;
  if (s.detect_fps) out.detect_fps = s.detect_fps;
  if (s.fast_fps) out.fast_fps = s.fast_fps;
  if (s.provider.trim()) out.provider = s.provider.trim();
  if (reason.trim()) out.reason = reason.trim();
  return out;
}

/** Which version a record names: "newest", "@champion" or "3". */
export const follows = (s: Pick<Settings, "version" | "alias">): string =>
  s.alias ? `@${s.alias}` : s.version ? String(s.version) : "newest";

const limits = (m: Record<string, number>): string =>
  Object.keys(m).sort().map((l) => `${l} ${m[l]}`).join(", ");

interface Part {
  what: string;
  keys: Key[];
  tell: (s: Settings) => string;
}

/** The settings as people choose them: model and version belong together. */
const PARTS: Part[] = [
  { what: "Model", keys: ["model", "version", "alias"], tell: (s) => (s.model ? `${s.model}, ${s.version ? "version " : ""}${follows(s)}` : "") },
  { what: "Lowest score", keys: ["min_score"], tell: (s) => (s.min_score ? String(s.min_score) : "") },
  { what: "Lowest score by class", keys: ["min_scores"], tell: (s) => limits(s.min_scores) },
  { what: "Overlap", keys: ["nms_iou"], tell: (s) => (s.nms_iou ? String(s.nms_iou) : "") },
  { what: "Overlap by class", keys: ["nms_ious"], tell: (s) => limits(s.nms_ious) },
  { what: "Classes", keys: ["classes"], tell: (s) => [...s.classes].sort().join(", ") },
  { what: "Only in zones", keys: ["zones"], tell: (s) => [...s.zones].sort().join(", ") },
  { what: "Detections a second", keys: ["detect_fps"], tell: (s) => (s.detect_fps ? String(s.detect_fps) : "") },
  { what: "While things move fast", keys: ["fast_fps"], tell: (s) => (s.fast_fps ? String(s.fast_fps) : "") },
  { what: "Provider", keys: ["provider"], tell: (s) => s.provider },
];

/** What a record says beside its model, as name and value. */
export const told = (s: Settings): { what: string; value: string }[] =>
  PARTS.slice(1).map((p) => ({ what: p.what, value: p.tell(s) })).filter((f) => f.value !== "");

export interface Choice {
  what: string;
  theirs: string;
  mine: string;
  /** Who changed it since the edit began; "none" where both say the same. */
  by: "none" | "them" | "me" | "both";
}

/** Compares what both made of a record, setting by setting. */
export function compare(base: Settings, theirs: Settings, mine: Settings): Choice[] {
  return PARTS.map((p) => {
    const [b, t, m] = [p.tell(base), p.tell(theirs), p.tell(mine)];
    const by = t === m ? "none" : t === b ? "me" : m === b ? "them" : "both";
    return { what: p.what, theirs: t, mine: m, by };
  });
}

/** Takes of each setting in takeMine one's own, of the others theirs. */
export function merge(theirs: Settings, mine: Settings, takeMine: readonly string[]): Settings {
  const out: Settings = { ...theirs };
  for (const p of PARTS) {
    if (!takeMine.includes(p.what)) continue;
    for (const k of p.keys) Object.assign(out, { [k]: mine[k] });
  }
  return out;
}
