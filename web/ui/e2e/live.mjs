// Opens the real page of a running daemon and looks whether it does what it is
// for. The daemon has one camera, "good", on which a bright box moves over a
// dark ground and is detected as a person. Run by pipeline/e2e:
//
//   node live.mjs PAGE SECOND DEAD
//
// PAGE is the page's address, SECOND that of a camera that works and is not
// added yet, DEAD that of one that refuses.
import assert from "node:assert/strict";
import process from "node:process";
import { withPage } from "./browser.mjs";

const [url, second, dead] = process.argv.slice(2);
const PATIENCE = 60_000;
const LONG = "Gate_14_of_the_yard_behind_the_old_boiler_house";
const NAME = "<img src=x onerror=alert(1)>";
const ROUTES = ["live", "cameras/good", "recordings/good", "try", "results", "models", "reports", "events", "system"];

const tileOf = (page, id) => page.locator(`[data-testid=tile][data-camera="${id}"]`);

async function videoPlays(page) {
  await page.goto(url);
  await page.locator('[data-camera="good"][data-state="running"]').waitFor({ timeout: PATIENCE });
  await page.waitForFunction(() => {
    const video = document.querySelector('[data-camera="good"] video');
    return video && video.videoWidth > 0 && video.currentTime > 0;
  }, undefined, { timeout: PATIENCE });
  const before = await page.evaluate(() => document.querySelector('[data-camera="good"] video').currentTime);
  await page.waitForFunction((t) => document.querySelector('[data-camera="good"] video').currentTime > t + 1, before, { timeout: PATIENCE });
}

/** The boxes drawn, and where the bright box is in the video that is shown. */
function look() {
  const tile = document.querySelector('[data-camera="good"]');
  const video = tile.querySelector("video");
  const overlay = tile.querySelector("[data-testid=overlay]");
  if (!video || !overlay) return { boxes: [], bright: undefined, painted: false };
  const width = video.videoWidth;
  const height = video.videoHeight;
  const copy = new OffscreenCanvas(width, height).getContext("2d");
  copy.drawImage(video, 0, 0);
  const pixels = copy.getImageData(0, 0, width, height).data;
  let [x, y, n] = [0, 0, 0];
  for (let i = 0; i < width * height; i++) {
    if (pixels[4 * i] < 180) continue;
    x += i % width;
    y += Math.floor(i / width);
    n++;
  }
  const drawn = overlay.getContext("2d").getImageData(0, 0, overlay.width, overlay.height).data;
  return {
    boxes: JSON.parse(overlay.dataset.boxes ?? "[]"),
    bright: n > 0 ? [x / n, y / n] : undefined,
    painted: drawn.some((v, i) => i % 4 === 3 && v > 0),
  };
}

async function boxesMove(page) {
  await page.waitForFunction(() => {
    const boxes = document.querySelector('[data-camera="good"] [data-testid=overlay]')?.dataset.boxes ?? "[]";
    return JSON.parse(boxes).some((b) => b.track_id);
  }, undefined, { timeout: PATIENCE });
  const moments = [];
  while (moments.length < 40) {
    moments.push(await page.evaluate(look));
    await page.waitForTimeout(100);
  }
  const withBox = moments.filter((m) => m.boxes.length > 0 && m.bright);
  assert.ok(withBox.length >= 30, `boxes at ${withBox.length} of ${moments.length} moments`);
  for (const m of withBox) {
    assert.equal(m.boxes[0].label, "person");
    assert.ok(m.boxes[0].score > 0.5);
    assert.ok(m.painted, "the boxes are painted");
  }
  // The box lies on what moves. It may be a frame off, and it is not known
  // where the video starts again.
  const slack = 12;
  const fits = withBox.filter(({ boxes: [{ box: [x, y, w, h] }], bright: [bx, by] }) =>
    bx > x - slack && bx < x + w + slack && by > y - slack && by < y + h + slack);
  assert.ok(fits.length >= withBox.length * 0.8, `boxes fit the picture at ${fits.length} of ${withBox.length} moments: ${JSON.stringify(withBox)}`);
  const ways = new Map();
  for (const { boxes: [b] } of withBox) {
    if (b.track_id) ways.set(b.track_id, [...(ways.get(b.track_id) ?? []), b.box[0]]);
  }
  const furthest = Math.max(...[...ways.values()].map((xs) => Math.max(...xs) - Math.min(...xs)));
  assert.ok(furthest > 40, `the box of a track moved ${furthest} pixels: ${JSON.stringify([...ways])}`);
  assert.match(await tileOf(page, "good").getByTestId("detection-count").innerText(), /1 person/);
}

async function fillForm(page, values) {
  const form = page.getByTestId("camera-form");
  await form.waitFor();
  for (const [name, value] of Object.entries(values)) await form.locator(`[name=${name}]`).fill(value);
  await page.getByTestId("save-camera").click();
}

async function addCamera(page) {
  await page.getByTestId("add-camera").click();
  await fillForm(page, { name: NAME, url: "rtsp:/nonsense" });
  await page.getByText(/must start with rtsp:\/\//).waitFor({ timeout: PATIENCE }); // said beside the field
  await page.getByTestId("camera-form").locator("[name=url]").fill(second);
  await page.getByTestId("save-camera").click();
  const tile = tileOf(page, "img-src-x-onerror-alert-1");
  await tile.waitFor({ timeout: PATIENCE });
  await page.locator('[data-camera="img-src-x-onerror-alert-1"][data-state="running"]').waitFor({ timeout: PATIENCE });
  assert.equal(await tile.locator("a.name").innerText(), NAME);
  assert.equal(await page.locator("img[src=x]").count(), 0, "a name stays text");
}

async function downCamera(page) {
  await page.getByTestId("add-camera").click();
  await fillForm(page, { name: "Dead", url: dead });
  const tile = tileOf(page, "dead");
  await page.locator('[data-camera="dead"][data-state="refused"]').waitFor({ timeout: PATIENCE });
  assert.match(await tile.getByTestId("reason").innerText(), /refused the connection/);
  assert.match(await tile.getByTestId("next-try").innerText(), /next try in|trying now/);
}

async function editAndDelete(page) {
  await page.getByRole("link", { name: `Open ${NAME}` }).click();
  await page.getByRole("heading", { level: 1, name: NAME }).waitFor();
  assert.equal(await page.locator("img[src=x]").count(), 0, "a name stays text");
  await page.getByTestId("edit-camera").click();
  await fillForm(page, { name: "Back yard" });
  await page.getByRole("heading", { level: 1, name: "Back yard" }).waitFor({ timeout: PATIENCE });
  await page.getByTestId("delete-camera").click();
  await page.getByTestId("confirm-yes").click();
  await page.locator('[data-testid=page][data-page="live"]').waitFor({ timeout: PATIENCE });
  await tileOf(page, "good").waitFor({ timeout: PATIENCE });
  await page.waitForFunction(() => !document.querySelector('[data-camera="img-src-x-onerror-alert-1"]'), undefined, { timeout: PATIENCE });
}

/** Draws a zone over the whole picture and a line through its middle; the box is counted. */
async function zonesCount(page) {
  await page.goto(`${url}#/cameras/good`);
  await page.getByTestId("edit-zones").click();
  const canvas = page.getByTestId("zone-canvas");
  const draw = async (kind, points) => {
    await page.getByTestId(`add-${kind}`).click();
    const area = await canvas.boundingBox();
    for (const [x, y] of points) await page.mouse.click(area.x + x * area.width, area.y + y * area.height);
  };
  await draw("zone", [[0.02, 0.02], [0.98, 0.98], [0.98, 0.02], [0.02, 0.98], [0.02, 0.02]]);
  await page.getByTestId("save-zones").click();
  await page.getByText("Its sides cross").waitFor({ timeout: PATIENCE }); // nothing was saved
  await page.getByRole("button", { name: "Delete Zone 1" }).click();
  await draw("zone", [[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98], [0.02, 0.02]]);
  await page.locator("[name=shape-name]").fill("Everywhere");
  await draw("line", [[0.5, 0.02], [0.5, 0.98]]);
  const corner = page.getByRole("button", { name: /^Corner 2 of Line 1/ });
  await corner.focus();
  await page.keyboard.press("Shift+ArrowRight");
  assert.match(await corner.getAttribute("aria-label"), /5[45] % from the left/, "arrows move a corner");
  await page.getByTestId("save-zones").click();
  await page.getByTestId("zone-editor").waitFor({ state: "detached", timeout: PATIENCE });
  await page.getByTestId("zones-overlay").getByText("Everywhere").waitFor({ timeout: PATIENCE });
  await page.waitForFunction(async () => {
    const answer = await fetch("api/v1/cameras/good/zones/counts");
    return (await answer.json()).items.some((c) => c.zone_id === "zone-1" && c.entered > 0);
  }, undefined, { timeout: PATIENCE, polling: 1000 });
  await page.reload();
  await page.waitForFunction(() => {
    const cell = document.querySelector('[data-testid=zone-row][data-zone="zone-1"] td.num');
    return Number(cell?.textContent) > 0;
  }, undefined, { timeout: PATIENCE });
}

/** Looks at every frame, from the first on, whether something is wider than the window, and keeps what is. */
function watchWidth() {
  window.tooWide = [];
  const look = () => {
    for (const e of [document.documentElement, document.querySelector("main"), ...document.querySelectorAll("[data-testid=events] .scroll")]) {
      if (!e || e.scrollWidth <= e.clientWidth || innerWidth > 390) continue;
      const edge = e.getBoundingClientRect().left + e.clientWidth;
      const who = [...e.querySelectorAll("*")].filter((n) => n.getBoundingClientRect().right > edge).slice(0, 8)
        .map((n) => `${n.tagName}.${n.getAttribute("class")} ${n.textContent.slice(0, 40)}`);
      window.tooWide.push(`${location.hash} ${e.tagName} ${e.scrollWidth}: ${who.join(" | ")}`);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

/** At no moment is a page wider than a phone, whatever its cameras are called and however slow it is. */
async function fitsPhone(page) {
  await page.evaluate(async ([address, name]) => {
    const answer = await fetch(address);
    const etag = answer.headers.get("ETag");
    const camera = await answer.json();
    const changed = await fetch(address, { method: "PUT", headers: { "Content-Type": "application/json", "If-Match": etag }, body: JSON.stringify({ name, url: camera.url }) });
    if (!changed.ok) throw new Error(await changed.text());
  }, ["api/v1/cameras/good", LONG]);
  const slow = await page.context().newCDPSession(page);
  await slow.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await page.addInitScript(watchWidth);
  await page.setViewportSize({ width: 390, height: 844 });
  for (const route of ROUTES) {
    await page.goto(`${url}#/${route}`);
    await page.reload();
    await page.locator(`[data-testid=page][data-page="${route.split("/")[0]}"]`).waitFor();
    await page.locator("h1").first().waitFor({ timeout: PATIENCE });
    await page.waitForLoadState("load");
    await page.waitForTimeout(1000); // for what comes later
    assert.deepEqual(await page.evaluate(() => [...new Set(window.tooWide)]), [], `page ${route} is wider than 390 px`);
  }
}

await withPage(async (page, complaints) => {
  for (const step of [videoPlays, boxesMove, addCamera, downCamera, editAndDelete, zonesCount, fitsPhone]) {
    try {
      await step(page);
      assert.deepEqual(complaints, [], "the page complains");
    } catch (err) {
      if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
      throw new Error(`${step.name}: ${err.message}\ncomplaints: ${complaints.join("\n")}`, { cause: err });
    }
    process.stdout.write(`${step.name} ok\n`);
  }
});
