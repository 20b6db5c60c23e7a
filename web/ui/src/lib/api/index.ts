// The calls of the HTTP API that the page makes, one function each.
import { request, upload, url, type Query } from "./http";
import type * as t from "./types";

export * from "./types";
export { ApiError, messageOf } from "./http";

const id = encodeURIComponent;
type Signal = AbortSignal | undefined;

async function list<T>(path: string, query: Query, signal?: Signal): Promise<{ items: T[]; next?: string }> {
  const page = await request<t.List<T>>("GET", path, { query, signal });
  return { items: page.items ?? [], ...(page.next ? { next: page.next } : {}) };
}

/** Follows the cursors of a list up to max items. */
async function all<T>(path: string, query: Query, max: number, signal?: Signal): Promise<T[]> {
  const out: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await list<T>(path, { ...query, limit: Math.min(1000, max - out.length), cursor }, signal);
    out.push(...page.items);
    cursor = page.next;
  } while (cursor && out.length < max);
  return out;
}

export const clients = {
  list: (signal?: Signal) => all<t.Client>("/clients", {}, 5000, signal),
  create: (body: { name: string }) => request<t.Client>("POST", "/clients", { body }),
  update: (c: t.Client, name: string) =>
    request<t.Client>("PUT", `/clients/${id(c.id)}`, { body: { name }, ifMatch: c.revision }),
  remove: (c: t.Client) => request<undefined>("DELETE", `/clients/${id(c.id)}`, { ifMatch: c.revision }),
};

export const cameras = {
  list: (signal?: Signal) => all<t.Camera>("/cameras", {}, 5000, signal),
  get: (camera: string, signal?: Signal) => request<t.Camera>("GET", `/cameras/${id(camera)}`, { signal }),
  create: (body: t.CameraInput) => request<t.Camera>("POST", "/cameras", { body }),
  update: (camera: string, revision: number, body: t.CameraInput) =>
    request<t.Camera>("PUT", `/cameras/${id(camera)}`, { body, ifMatch: revision }),
  remove: (camera: string, revision: number) =>
    request<undefined>("DELETE", `/cameras/${id(camera)}`, { ifMatch: revision }),
  frame: (camera: string, time = "latest", boxes = false) =>
    url(`/cameras/${id(camera)}/frames/${id(time)}.jpg`, boxes ? { boxes } : {}),
  coverage: (camera: string, q: { from: string; to: string; tz?: string }, signal?: Signal) =>
    request<t.CameraCoverage>("GET", `/cameras/${id(camera)}/coverage`, { query: q, signal }),
  hls: (camera: string) => url(`/cameras/${id(camera)}/live/index.m3u8`),
};

export const zones = {
  get: (camera: string, signal?: Signal) => request<t.Zones>("GET", `/cameras/${id(camera)}/zones`, { signal }),
  put: (camera: string, revision: number, body: t.ZoneShapes) =>
    request<t.Zones>("PUT", `/cameras/${id(camera)}/zones`, { body, ifMatch: revision }),
  counts: (camera: string, q: { period: "minute" | "hour" | "day"; from?: string; to?: string }, signal?: Signal) =>
    list<t.ZoneCount>(`/cameras/${id(camera)}/zones/counts`, { ...q, limit: 10000 }, signal).then((l) => l.items),
};

export interface Span {
  camera_id?: string;
  from?: string;
  to?: string;
}

export const detections = {
  list: (q: Span & { label?: string; kind?: string; limit?: number; cursor?: string }, signal?: Signal) =>
    list<t.Detection>("/detections", { ...q }, signal),
  image: (file: Blob, q: { model?: string; score?: number }, onProgress: (p: number) => void, signal?: Signal) =>
    upload<t.PictureDetections>("/detections/image", { ...q, save: true }, form(file), onProgress, signal),
  video: (file: Blob, q: { model?: string; score?: number }, onProgress: (p: number) => void, signal?: Signal) =>
    upload<t.Result>("/detections/video", { ...q }, form(file), onProgress, signal),
};

function form(file: Blob): FormData {
  const data = new FormData();
  data.append("file", file);
  return data;
}

/** Per frame, oldest first. Pages go on from the time after the last frame. */
export async function annotations(q: Required<Span>, max: number, signal?: Signal): Promise<t.Annotation[]> {
  const out: t.Annotation[] = [];
  let from = q.from;
  while (out.length < max) {
    const { items } = await list<t.Annotation>("/annotations", { ...q, from, limit: 1000 }, signal);
    out.push(...items);
    const last = items.at(-1);
    if (!last || items.length < 1000) break;
    from = new Date(Date.parse(last.time) + 1).toISOString();
  }
  return out;
}

/** The first recording that ends after a moment. */
export const recordingFrom = async (camera: string, from: number, signal?: Signal): Promise<t.Recording | undefined> =>
  (await list<t.Recording>("/recordings", { camera_id: camera, from: new Date(from).toISOString(), limit: 1 }, signal)).items[0];

const span = (from: number, to: number) => ({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });

/** The playlist of the recorded files of a span, in ms. */
export const playlist = (camera: string, from: number, to: number) =>
  url(`/cameras/${id(camera)}/recordings/index.m3u8`, span(from, to));

/** What was recorded and what happened, in pieces of step seconds. */
export const timeline = (camera: string, from: number, to: number, step: number, signal?: Signal) =>
  list<t.TimelinePiece>(`/cameras/${id(camera)}/timeline`, { ...span(from, to), step_seconds: step }, signal).then((l) => l.items);

export const keeps = {
  list: (camera: string, signal?: Signal) => list<t.Keep>(`/cameras/${id(camera)}/keeps`, {}, signal).then((l) => l.items),
  put: (camera: string, keep: string, from: number, to: number, note: string) =>
    request<t.Keep>("PUT", `/cameras/${id(camera)}/keeps/${id(keep)}`, { body: { ...span(from, to), note } }),
  remove: (camera: string, keep: string) => request<undefined>("DELETE", `/cameras/${id(camera)}/keeps/${id(keep)}`),
};

/** Where a span of recorded video, in ms, is had as one file. */
export const movie = (camera: string, from: number, to: number, cut: "exact" | "keys") =>
  url(`/cameras/${id(camera)}/recordings/video.mp4`, { ...span(from, to), cut });

export const tracks = {
  list: (q: Span & { label?: string; limit?: number; cursor?: string }, signal?: Signal) =>
    list<t.Track>("/tracks", { ...q }, signal),
  all: (q: Span & { label?: string }, max: number, signal?: Signal) => all<t.Track>("/tracks", { ...q }, max, signal),
};

export const results = {
  list: (q: { camera_id?: string; limit?: number; cursor?: string }, signal?: Signal) =>
    list<t.Result>("/results", q, signal),
  get: (result: string, signal?: Signal) => request<t.Result>("GET", `/results/${id(result)}`, { signal }),
  still: (camera: string, time: string) =>
    request<t.Result>("POST", "/results", { body: { kind: "still", camera_id: camera, time } }),
  clip: (camera: string, from: string, to: string) =>
    request<t.Result>("POST", "/results", { body: { kind: "clip", camera_id: camera, from, to } }),
  detections: (result: string, signal?: Signal) =>
    list<t.FrameDetections>(`/results/${id(result)}/detections`, {}, signal).then((l) => l.items),
  remove: (result: string) => request<undefined>("DELETE", `/results/${id(result)}`),
};

export const events = (q: Span & { kind?: string; limit?: number; cursor?: string }, signal?: Signal) =>
  list<t.LogEvent>("/events", { ...q }, signal);

export const models = {
  /** The models that the words fit, max at most, each with its newest versions. */
  list: (signal?: Signal, words = "", max = 5000) => all<t.Model>("/models", { query: words }, max, signal),
  /** One version with its contract. */
  version: (model: string, version: number, signal?: Signal) => request<t.VersionDetails>("GET", `/models/${id(model)}/versions/${version}`, { signal }),
  /** The address of a version's ONNX file. */
  file: (model: string, version: number) => url(`/models/${id(model)}/versions/${version}/file`),
  /** Changes what is said about a model, under its revision. */
  describe: (m: t.Model, body: Notes) => request<t.Model>("PATCH", `/models/${id(m.name)}`, { body, ifMatch: m.revision }),
  /** Changes what is said about a version. */
  describeVersion: (model: string, version: number, body: Notes) =>
    request<t.Model>("PATCH", `/models/${id(model)}/versions/${version}`, { body }),
  /** Deletes a model with all its versions. */
  remove: (model: string) => request<undefined>("DELETE", `/models/${id(model)}`),
  /** The newest versions of a model, max at most. */
  versions: (model: string, max: number, signal?: Signal) => all<t.ModelVersion>(`/models/${id(model)}/versions`, {}, max, signal),
  diff: (model: string, from: number, to: number, signal?: Signal) =>
    list<t.ModelDifference>(`/models/${id(model)}/diff`, { from, to }, signal).then((l) => l.items),
  add: (q: { name: string; description?: string; licence?: string; source?: string; family?: string; contract?: string[] }, file: Blob, p: (v: number) => void) =>
    upload<t.Model>("/models", q, new Blob([file], { type: "application/octet-stream" }), p),
  /** Repeats the self-check of a version, which takes seconds. */
  check: (model: string, version: number) => request<t.ModelCheck>("POST", `/models/${id(model)}/versions/${version}/check`),
  removeVersion: (model: string, version: number) =>
    request<undefined>("DELETE", `/models/${id(model)}/versions/${version}`),
  /** expect is the version that the alias names now, 0 for a new one. */
  setAlias: (model: string, alias: string, version: number, expect: number, why: Why, force = false) =>
    request<t.Model>("PUT", `/models/${id(model)}/aliases/${id(alias)}`, { body: { version, expect, force, ...reason(why) }, author: why.author }),
  removeAlias: (model: string, alias: string, expect: number, why: Why) =>
    request<undefined>("DELETE", `/models/${id(model)}/aliases/${id(alias)}`, { query: { expect, ...reason(why) }, author: why.author }),
  aliasHistory: (model: string, alias: string, signal?: Signal) =>
    list<t.AliasMove>(`/models/${id(model)}/aliases/${id(alias)}/history`, {}, signal).then((l) => l.items),
};

/** What is said about a model or a version; what is absent stays. */
export interface Notes {
  description?: string;
  licence?: string;
  source?: string;
  set_tags?: Record<string, string>;
  remove_tags?: string[];
}

/** Models that can be fetched from the network. */
export const catalogue = {
  list: (signal?: Signal) => list<t.CatalogueModel>("/catalogue", {}, signal).then((l) => l.items),
  pull: (name: string) => request<undefined>("POST", `/catalogue/${id(name)}/pull`),
  stop: (name: string) => request<undefined>("DELETE", `/catalogue/${id(name)}/pull`),
};

/** Who makes a change, and why. */
export interface Why {
  author: string;
  reason: string;
}

const reason = (w: Why) => (w.reason.trim() ? { reason: w.reason.trim() } : {});

const rulesPath = (model: string, alias: string) => `/models/${id(model)}/aliases/${id(alias)}/rules`;

export const rules = {
  get: (model: string, alias: string, signal?: Signal) =>
    request<t.AliasGates>("GET", rulesPath(model, alias), { signal }),
  put: (model: string, alias: string, revision: number, body: t.AliasRules, why: Why) =>
    request<t.AliasGates>("PUT", rulesPath(model, alias), { body: { rules: body, ...reason(why) }, ifMatch: revision, author: why.author }),
  check: (model: string, alias: string, version: number, signal?: Signal) =>
    request<t.RulesCheck>("GET", `${rulesPath(model, alias)}/check`, { query: { version }, signal }),
  measureSpeed: (model: string, version: number) =>
    request<t.Measurement>("POST", `/models/${id(model)}/versions/${version}/speed`),
};

export const promotions = {
  list: (signal?: Signal) => all<t.Promotion>("/promotions", {}, 50, signal),
  start: (body: t.NewPromotion, author: string) => request<t.Promotion>("POST", "/promotions", { body, author }),
  step: (promotion: string, body: t.PromotionStep, author: string) =>
    request<t.Promotion>("POST", `/promotions/${id(promotion)}/step`, { body, author }),
};

function runningPath(client: string, camera: string): string {
  return `/running-models/${id(client)}${camera ? `/cameras/${id(camera)}` : ""}`;
}

export const running = {
  list: (signal?: Signal) => all<t.RunningModel>("/running-models", {}, 5000, signal),
  get: (client: string, camera: string, signal?: Signal) =>
    request<t.RunningModel>("GET", runningPath(client, camera), { signal }),
  put: (client: string, camera: string, revision: number, body: t.RunningModelInput, author: string) =>
    request<t.RunningModel>("PUT", runningPath(client, camera), { body, ifMatch: revision, author }),
  remove: (client: string, camera: string, revision: number, why: Why) =>
    request<undefined>("DELETE", runningPath(client, camera), { query: reason(why), ifMatch: revision, author: why.author }),
  history: (client: string, camera: string, signal?: Signal) =>
    list<t.RunningModel>(`${runningPath(client, camera)}/revisions`, {}, signal).then((l) => l.items),
  diff: (client: string, camera: string, from: number, to: number, signal?: Signal) =>
    list<t.RunningDifference>(`${runningPath(client, camera)}/diff`, { from, to }, signal).then((l) => l.items),
  restore: (client: string, camera: string, old: number, revision: number, why: Why) =>
    request<t.RunningModel>("POST", `${runningPath(client, camera)}/revisions/${old}/restore`, {
      body: reason(why), ifMatch: revision, author: why.author,
    }),
  state: (camera: string, signal?: Signal) => request<t.RunningState>("GET", `/cameras/${id(camera)}/running-state`, { signal }),
  states: (client: string, signal?: Signal) => all<t.RunningState>("/running-states", { client_id: client }, 5000, signal),
};

/** The most rows that one report answer holds; there are no further pages. */
export const REPORT_ROWS = 1000;

export const reports = (
  q: { period: "hour" | "day"; camera_id?: string; model?: string; from?: string; to?: string; tz?: string },
  signal?: Signal,
) => all<t.Report>("/reports", q, REPORT_ROWS, signal);

export const system = (signal?: Signal) => request<t.System>("GET", "/system", { signal });

/** The readiness checks; outside /api/v1, 503 carries the same body. */
export async function readiness(signal?: Signal): Promise<Record<string, string>> {
  const res = await fetch("/readyz", { signal: signal ?? null });
  const body = (await res.json()) as { checks?: Record<string, string> };
  return body.checks ?? {};
}

export const streamURL = (cameraIDs: readonly string[]) => url("/events/stream", { camera_id: cameraIDs });
