// What is known of a camera's day, read again every half minute while it is today.
import { cameras, events, keeps, timeline, tracks, type LogEvent, type Track } from "../api";
import { now } from "../state/now.svelte";
import { query, type Query } from "../state/query.svelte";
import { rfc3339 } from "../util/format";
import type { Span } from "../util/spans";
import { busyPieces, gapsOf, nextMoment, recordedSpans } from "./happened";
import { keptSpans } from "./keeps";

/** Length of a piece of the day, ms. */
export const STEP = 60_000;

/** Up to this long a window shows the objects themselves, ms. */
const CLOSE = 3_600_000;
const TILE = 1_800_000;
const MOST = 1000;

/** What was seen for less than this is no moment to jump to: most of it is a false alarm, ms. */
const BRIEF = 1000;

/** Everything that the page shows of a day. Make it while a component is created. */
export function watchDay(camera: () => string, day: () => Span, window: () => Span) {
  const fresh = $derived(now.ms >= day().start && now.ms < day().end + 300_000 ? Math.floor(now.ms / 30_000) : 0);
  const from = $derived(day().start);
  const to = $derived(day().end);
  const span = $derived({ from: rfc3339(from), to: rfc3339(to) });

  const pieces = query((signal) => (void fresh, timeline(camera(), from, to, STEP / 1000, signal)));
  const coverage = query((signal) => (void fresh, cameras.coverage(camera(), span, signal)));
  const log = query<LogEvent[]>(
    (signal) => (void fresh, events({ camera_id: camera(), ...span, kind: "!track.", limit: MOST }, signal).then((l) => l.items)),
  );
  const marks = query((signal) => keeps.list(camera(), signal));

  const close = $derived(window().end - window().start <= CLOSE);
  const first = $derived(close ? Math.floor(window().start / TILE) * TILE : 0);
  const last = $derived(close ? Math.ceil(window().end / TILE) * TILE : 0);
  const near: Query<Track[]> = query((signal) => {
    void fresh;
    if (!last) return Promise.resolve([]);
    return tracks.all({ camera_id: camera(), from: rfc3339(first), to: rfc3339(last) }, MOST, signal);
  });

  const gaps = $derived(gapsOf(coverage.data));
  const recorded = $derived(recordedSpans(coverage.data, pieces.data ?? [], STEP));
  const kept = $derived(keptSpans(marks.data));
  const eventTimes = $derived((log.data ?? []).map((e) => Date.parse(e.time)));
  const objects = $derived(
    close && near.data ? near.data.map((t) => ({ start: Date.parse(t.start), end: Date.parse(t.end), label: t.label })) : undefined,
  );

  return {
    pieces, coverage, log, marks,
    get gaps() {
      return gaps;
    },
    get recorded() {
      return recorded;
    },
    get kept() {
      return kept;
    },
    get eventTimes() {
      return eventTimes;
    },
    get objects() {
      return objects;
    },
    /** The day has been read; what is missing in it is not there. */
    get loaded() {
      return pieces.data !== undefined && coverage.data !== undefined;
    },
    get error() {
      return pieces.error ?? coverage.error;
    },
    /** Until here it is known what was recorded. */
    get known() {
      return Math.max(coverage.data ? Date.parse(coverage.data.end) : from, recorded.at(-1)?.end ?? from);
    },
    reload() {
      for (const q of [pieces, coverage, log, marks]) q.reload();
    },
  };
}

export type WatchedDay = ReturnType<typeof watchDay>;

/** When the next thing happened after a moment, or the last one before it: an object came, or an event. */
export async function findMoment(camera: string, day: WatchedDay, at: number, back: boolean): Promise<number | undefined> {
  const busy = busyPieces(day.pieces.data ?? []).filter((p) => (back ? p < at : p + STEP > at));
  if (back) busy.reverse();
  for (const piece of busy.slice(0, 20)) {
    const [from, to] = [rfc3339(piece), rfc3339(piece + STEP)];
    const seen = (await tracks.all({ camera_id: camera, from, to }, MOST)).filter((t) => Date.parse(t.end) - Date.parse(t.start) >= BRIEF);
    const moments = seen.map((t) => Date.parse(t.start)).filter((t) => t >= piece);
    moments.push(...day.eventTimes.filter((t) => t >= piece && t < piece + STEP));
    const next = nextMoment(moments, at, back);
    if (next !== undefined) return next;
  }
  return undefined;
}
