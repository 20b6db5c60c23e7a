// Hash routing: "#/cameras/front?tab=recorded".

export interface Route {
  path: string[];
  query: URLSearchParams;
}

function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

class Router {
  route = $state.raw<Route>(parse(window.location.hash));

  constructor() {
    window.addEventListener("hashchange", () => (this.route = parse(window.location.hash)));
  }

  get page(): string {
    return this.route.path[0] ?? "live";
  }

  /** Changes query values of the page shown without a new entry in the history. */
  replace(query: Record<string, string | undefined>): void {
    const next = new URLSearchParams(this.route.query);
    for (const [k, v] of Object.entries(query)) {
      if (v === undefined || v === "") next.delete(k);
      else next.set(k, v);
    }
    const q = next.toString();
    history.replaceState(null, "", href(this.route.path, q ? `?${q}` : ""));
    this.route = { path: this.route.path, query: next };
  }
}

export const router = new Router();

export function href(path: string | readonly string[], query = ""): string {
  const parts = typeof path === "string" ? [path] : path;
  return `#/${parts.map(encodeURIComponent).join("/")}${query}`;
}

export function go(path: string | readonly string[], query = ""): void {
  window.location.hash = href(path, query);
}
