// Starts a browser that keeps a list of everything a page complains about.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { chromium } from "playwright-core";

/** The browser of $CHROMIUM, or the one found in PATH. */
function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const dir of (process.env.PATH ?? "").split(delimiter)) {
      const path = join(dir, name);
      if (dir && existsSync(path)) return path;
    }
  }
  throw new Error("no Chromium in PATH: install the package chromium, or name one in CHROMIUM");
}

const FLAGS = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** Answers that are no fault of the page: a moment without video, an address that was refused. */
const EXPECTED = [
  /status of 404 .*\/api\/v1\/cameras\/[^/]+\/(frames\/[^/]+\.jpg|live\/[^/]+|recordings\/index\.m3u8)/,
  /status of 422 .*\/api\/v1\/cameras\b/,
];

/** Calls use with a new page; afterwards nothing of the browser is left. */
export async function withPage(use) {
  const profile = mkdtempSync(join(tmpdir(), "detectd-browser-"));
  const root = process.getuid?.() === 0; // Chromium refuses its sandbox to root
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable(), headless: true, chromiumSandbox: !root, args: FLAGS,
    viewport: { width: 1280, height: 800 },
  });
  try {
    const page = await context.newPage();
    const complaints = watch(page);
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (e) => {
        console.error(`policy violation: ${e.violatedDirective} ${e.blockedURI}`);
      });
    });
    await use(page, complaints);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

function watch(page) {
  const complaints = [];
  page.on("console", (m) => {
    const text = `${m.text()} (${m.location().url})`;
    if (m.type() === "error" && !EXPECTED.some((e) => e.test(text))) complaints.push(text);
  });
  page.on("pageerror", (e) => complaints.push(`uncaught ${e.stack ?? e.message}`));
  page.on("dialog", (d) => {
    complaints.push(`dialog: ${d.message()}`);
    void d.dismiss();
  });
  return complaints;
}
