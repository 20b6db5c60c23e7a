// One place that talks HTTP: JSON in and out, problems as errors, revisions as
// If-Match, uploads with progress.
import type { Problem } from "./types";

export const BASE = "/api/v1";

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

/** An answer that is not a success, or no answer at all (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(describe(status, problem));
    this.name = "ApiError";
  }

  /** Messages of the server by the field they are about ("name", "url", …). */
  get fields(): Record<string, string> {
    const out: Record<string, string> = {};
    for (const e of this.problem.errors ?? []) {
      const field = (e.location ?? "").replace(/^body\.?/, "").split(/[.[]/)[0];
      if (field && e.message && !out[field]) out[field] = e.message;
    }
    return out;
  }
}

function describe(status: number, p: Problem): string {
  if (status === 0) return "detectd does not answer";
  const first = p.errors?.find((e) => e.message)?.message;
  const detail = p.detail ?? p.title ?? `the server answered ${status}`;
  return first && /^validation failed/i.test(detail) ? first : detail;
}

export function url(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    if (Array.isArray(value)) value.forEach((v: string) => params.append(key, v));
    else params.set(key, String(value));
  }
  const q = params.toString();
  return BASE + path + (q ? `?${q}` : "");
}

export interface Options {
  query?: Query;
  body?: unknown;
  ifMatch?: number | "*";
  /** Who makes the change, for the history. */
  author?: string;
  signal?: AbortSignal | undefined;
}

export async function request<T>(method: string, path: string, o: Options = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
  if (o.ifMatch !== undefined) headers["If-Match"] = o.ifMatch === "*" ? "*" : `"${o.ifMatch}"`;
  if (o.author) headers["Detectd-Author"] = o.author;
  const init: RequestInit = { method, headers, signal: o.signal ?? null };
  if (o.body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(o.body);
  }
  let res: Response;
  try {
    res = await fetch(url(path, o.query), init);
  } catch (err) {
    if (o.signal?.aborted) throw err;
    throw new ApiError(0, {});
  }
  if (!res.ok) throw new ApiError(res.status, await problemOf(res));
  if (res.status === 204) return undefined as T;
  const text = await res.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

async function problemOf(res: Response): Promise<Problem> {
  try {
    return (await res.json()) as Problem;
  } catch {
    return { title: res.statusText, status: res.status };
  }
}

/** Sends a body with progress (0 to 1); fetch cannot report it. */
export function upload<T>(
  path: string,
  query: Query,
  body: XMLHttpRequestBodyInit,
  onProgress: (part: number) => void,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", url(path, query));
    xhr.setRequestHeader("Accept", "application/json, application/problem+json");
    xhr.upload.onprogress = (e) => {
      if (e.lengthComputable) onProgress(e.loaded / e.total);
    };
    xhr.onload = () => {
      const answer = parse(xhr.responseText);
      if (xhr.status >= 200 && xhr.status < 300) resolve(answer as T);
      else reject(new ApiError(xhr.status, (answer as Problem | undefined) ?? { title: xhr.statusText }));
    };
    xhr.onerror = () => reject(new ApiError(0, {}));
    xhr.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal?.addEventListener("abort", () => xhr.abort(), { once: true });
    xhr.send(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}
