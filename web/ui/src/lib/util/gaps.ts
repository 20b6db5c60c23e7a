// Why nothing was recorded, in words.

export const GAP_WORDS: Record<string, string> = {
  camera: "camera not there",
  no_video: "camera sent nothing",
  disk_full: "disk full",
  disk_error: "disk error",
  process_down: "detectd not running",
  overload: "disk too slow",
  clock_jump: "clock set, or machine asleep",
  file_lost: "file lost",
  off: "recording off",
  disabled: "camera switched off",
  ended: "file over",
  not_kept: "nothing happened",
  expired: "no longer kept",
};

export function gapWords(reason: string, detail = ""): string {
  const words = GAP_WORDS[reason] ?? reason;
  return detail ? `${words} (${detail.replaceAll("_", " ")})` : words;
}

/** A share in percent that is 100 only when nothing is missing. */
export function share(covered: number, missing: number): string {
  const wanted = covered + missing;
  if (wanted <= 0) return "–";
  const percent = (100 * covered) / wanted;
  return missing > 0 ? `${Math.min(99.99, percent).toFixed(2)} %` : "100 %";
}
