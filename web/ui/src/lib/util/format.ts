// Numbers and times in words people read.

const pad = (n: number) => String(Math.floor(n)).padStart(2, "0");

/** "4 s", "3 min 20 s", "2 h 05 min", "3 d 4 h". */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 && s < 600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** "812 B", "14.2 MB", in powers of 1000 as disks are sold. */
export function bytes(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let i = 0;
  while (n >= 999.5 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0)} ${units[i]}`;
}

/** "12,345" with thin grouping; "–" for nothing. */
export function count(n: number | undefined | null): string {
  return n === undefined || n === null || !Number.isFinite(n) ? "–" : Math.round(n).toLocaleString("en-GB");
}

export function fixed(n: number | undefined | null, digits = 1): string {
  return n === undefined || n === null || !Number.isFinite(n) ? "–" : n.toFixed(digits);
}

/** "14:03:09" local time. */
export function clock(t: string | number | Date, millis = false): string {
  const d = new Date(t);
  if (Number.isNaN(d.getTime())) return "–";
  const s = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return millis ? `${s}.${String(d.getMilliseconds()).padStart(3, "0")}` : s;
}

/** "2026-11-25" local date, as date inputs want it. */
export function day(t: string | number | Date): string {
  const d = new Date(t);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

/** "2026-11-25T14:03:09" local time, as inputs of date and time want it. */
export const local = (t: number): string => `${day(t)}T${clock(t)}`;

/** The time alone for today, date and time otherwise. */
export function when(t: string | number | Date | undefined, now = Date.now()): string {
  if (t === undefined || t === "") return "–";
  const d = new Date(t);
  if (Number.isNaN(d.getTime())) return "–";
  return day(d) === day(now) ? clock(d) : `${day(d)} ${clock(d)}`;
}

/** "just now", "12 s ago", "in 8 s". */
export function relative(t: string | number | Date, now = Date.now()): string {
  const ms = new Date(t).getTime() - now;
  if (Number.isNaN(ms)) return "–";
  if (Math.abs(ms) < 1000) return "now";
  return ms > 0 ? `in ${duration(ms)}` : `${duration(-ms)} ago`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A model and its version as people write it: "default@1". */
export function modelRef(name: string | undefined, version: number | undefined): string {
  if (!name) return "–";
  return version ? `${name}@${version}` : name;
}

/** RFC 3339 UTC with milliseconds. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
