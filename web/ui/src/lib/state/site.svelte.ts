// The cameras and clients of this installation, kept fresh by the feed.
import { SvelteMap } from "svelte/reactivity";
import { cameras as api, clients as clientsAPI, messageOf, type Camera, type Client, type Status } from "../api";
import { feed } from "./feed.svelte";
import { prefs } from "./prefs.svelte";

class Site {
  cameras = $state.raw<Camera[]>([]);
  clients = $state.raw<Client[]>([]);
  loaded = $state(false);
  error = $state<string>();
  #status = new SvelteMap<string, Status>();

  start(): void {
    void this.reload();
    feed.on("health", ({ cameras }) => cameras?.forEach((s) => this.#status.set(s.camera_id, s)));
    feed.on("camera.state", (s) => this.#status.set(s.camera_id, s));
    feed.on("camera.changed", () => void this.reload());
    // After an outage everything may have changed.
    let lost = false;
    $effect.root(() => {
      $effect(() => {
        if (feed.state === "lost") lost = true;
        else if (feed.state === "open" && lost) {
          lost = false;
          void this.reload();
        }
      });
    });
  }

  async reload(): Promise<void> {
    try {
      const [cameras, clients] = await Promise.all([api.list(), clientsAPI.list()]);
      for (const c of cameras) if (c.status && !this.#status.has(c.id)) this.#status.set(c.id, c.status);
      this.cameras = cameras;
      this.clients = clients;
      this.error = undefined;
      this.loaded = true;
    } catch (err) {
      this.error = messageOf(err);
    }
  }

  /** The cameras of the client chosen at the top, by name. */
  get shown(): Camera[] {
    const client = this.clients.some((c) => c.id === prefs.client) ? prefs.client : "";
    return this.cameras
      .filter((c) => !client || c.client_id === client)
      .sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  }

  camera(id: string): Camera | undefined {
    return this.cameras.find((c) => c.id === id);
  }

  nameOf(id: string | undefined): string {
    return (id && this.camera(id)?.name) || id || "–";
  }

  clientName(id: string | undefined): string {
    return (id && this.clients.find((c) => c.id === id)?.name) || id || "–";
  }

  status(id: string): Status | undefined {
    return this.#status.get(id);
  }
}

export const site = new Site();
