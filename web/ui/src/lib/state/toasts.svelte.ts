// Short messages about what an action did.

export interface Toast {
  id: number;
  tone: "ok" | "bad" | "info";
  text: string;
  link?: { href: string; text: string };
}

class Toasts {
  list = $state<Toast[]>([]);
  #next = 1;

  show(tone: Toast["tone"], text: string, link?: Toast["link"]): void {
    const id = this.#next++;
    this.list.push({ id, tone, text, ...(link ? { link } : {}) });
    if (this.list.length > 4) this.list.shift();
    setTimeout(() => this.dismiss(id), tone === "bad" ? 12_000 : 6_000);
  }

  ok(text: string, link?: Toast["link"]): void {
    this.show("ok", text, link);
  }

  bad(text: string): void {
    this.show("bad", text);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((t) => t.id !== id);
  }
}

export const toasts = new Toasts();
