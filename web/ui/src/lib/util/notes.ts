// Tags as people type them: one KEY=VALUE a line.

/** The lines of tags, by key. */
export function tagLines(tags: Record<string, string>): string {
  return Object.keys(tags)
    .sort()
    .map((key) => `${key}=${tags[key] ?? ""}`)
    .join("\n");
}

/** What has to change for tags to be those of the lines; a text says which line is wrong. */
export function tagChanges(before: Record<string, string>, lines: string): { set: Record<string, string>; remove: string[] } | string {
  const set: Record<string, string> = {};
  const seen = new Set<string>();
  for (const line of lines.split("\n").map((l) => l.trim())) {
    if (!line) continue;
    const at = line.indexOf("=");
    const key = (at < 0 ? line : line.slice(0, at)).trim();
    const value = at < 0 ? "" : line.slice(at + 1).trim();
    if (!key) return `“${line}”: a tag is KEY=VALUE.`;
    if (seen.has(key)) return `The tag ${key} is there twice.`;
    seen.add(key);
    if (!(key in before) || before[key] !== value) set[key] = value;
  }
  return { set, remove: Object.keys(before).filter((key) => !seen.has(key)) };
}

/** A contract as KEY=VALUE, one a line; long lists, such as the labels, only by their length. */
export function contractLines(contract: unknown, path = ""): string[] {
  if (Array.isArray(contract)) {
    const text = JSON.stringify(contract);
    return [`${path}=${text.length <= 60 ? text : `${contract.length} values`}`];
  }
  if (contract !== null && typeof contract === "object") {
    return Object.entries(contract).flatMap(([key, value]) => contractLines(value, path ? `${path}.${key}` : key));
  }
  return [`${path}=${String(contract)}`];
}
