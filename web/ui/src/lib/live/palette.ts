// A colour per label, the same on every page and after every restart.

/** Bright enough on dark and bright pictures alike; black text on them has 7:1 or more. */
const COLOURS = [
  "#ffd400", "#3ddcff", "#ff9f43", "#7dff6a", "#ff8ad8",
  "#b9a6ff", "#5cf2c8", "#ffb3a0", "#a8d8ff", "#e4ff5c",
] as const;

/** Labels that people watch for get fixed, well separated colours. */
const FIXED: Record<string, string> = {
  person: "#ffd400",
  car: "#3ddcff",
  truck: "#ff9f43",
  bicycle: "#7dff6a",
  dog: "#ff8ad8",
  bus: "#b9a6ff",
};

export function colourOf(label: string): string {
  const fixed = FIXED[label];
  if (fixed) return fixed;
  let hash = 2166136261;
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 16777619);
  return COLOURS[(hash >>> 0) % COLOURS.length] as string;
}

/** Darker lines for charts on a page, readable in both themes. */
export const SERIES = ["#3b82f6", "#e08a00", "#0e9f8e", "#d6457f", "#8b5cf6", "#5f8a1d", "#c2410c", "#64748b"] as const;
