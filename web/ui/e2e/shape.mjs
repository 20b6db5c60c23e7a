// Opens live and recorded video whose pixels are not square, and the box in it, in the
// page of a running daemon. The camera "wide" shows a bright upright box, detected as a
// person, in pixels that are 1.5 times as wide as high. Run by pipeline/e2e:
//
//   node shape.mjs PAGE RECORDED RATIO
//
// RECORDED is a time (RFC 3339) that is recorded, RATIO the true one of width and height.
import assert from "node:assert/strict";
import process from "node:process";
import { withPage } from "./browser.mjs";

const [url, recorded, ratio] = process.argv.slice(2);
const PATIENCE = 60_000;

/** The ratio in which the video within the element is shown, and where its box is. */
async function look(page, inside) {
  await page.waitForFunction((inside) => {
    const video = document.querySelector(`${inside} video`);
    const boxes = document.querySelector(`${inside} [data-testid=overlay]`)?.dataset.boxes ?? "[]";
    return video?.videoWidth > 0 && video.currentTime > 0 && JSON.parse(boxes).some((b) => b.label === "person");
  }, inside, { timeout: PATIENCE });
  return page.evaluate((inside) => {
    const video = document.querySelector(`${inside} video`);
    const r = video.getBoundingClientRect();
    // object-fit: contain, and then the stretching
    const [w, h] = [video.clientWidth, video.clientHeight];
    const scale = Math.min(w / video.videoWidth, h / video.videoHeight);
    const [width, height] = [(video.videoWidth * scale * r.width) / w, (video.videoHeight * scale * r.height) / h];
    return { ratio: width / height, width, height, inner: [r.left + r.width / 2 - width / 2, r.top + r.height / 2 - height / 2] };
  }, inside);
}

/** The drawn rectangle of the canvas over the video: its left and right rim, as parts of the video's width. */
async function rims(page, inside, shown) {
  return page.evaluate(([inside, shown]) => {
    const canvas = document.querySelector(`${inside} [data-testid=overlay]`);
    const area = canvas.getBoundingClientRect();
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let [left, right] = [canvas.width, 0];
    const half = Math.round(canvas.height / 2); // words are above the box
    for (let x = 0; x < canvas.width; x++) {
      if (data[4 * (half * canvas.width + x) + 3] > 0) [left, right] = [Math.min(left, x), Math.max(right, x)];
    }
    const at = (x) => (area.left + (x * area.width) / canvas.width - shown.inner[0]) / shown.width;
    return { rims: [at(left), at(right)], boxes: JSON.parse(canvas.dataset.boxes).map((b) => b.box) };
  }, [inside, shown]);
}

await withPage(async (page, complaints) => {
  for (const [path, inside] of [
    ["cameras/wide", "[data-testid=live-video]"],
    [`recordings/wide?at=${recorded}`, "[data-testid=recorded-video]"],
  ]) {
    await page.goto(`${url}#/${path}`);
    const shown = await look(page, inside);
    if (process.env.SCREENSHOT) await page.screenshot({ path: `${process.env.SCREENSHOT}-${path.split("/")[0]}.png` });
    assert.ok(Math.abs(shown.ratio / Number(ratio) - 1) < 0.02, `${path}: shown as ${JSON.stringify(shown)} instead of ${ratio}`);
    const { rims: [left, right], boxes } = await rims(page, inside, shown);
    const [[x, , w]] = boxes;
    assert.ok(Math.abs(left - x / 320) < 0.03 && Math.abs(right - (x + w) / 320) < 0.03, `${path}: box ${JSON.stringify(boxes)} drawn from ${left} to ${right} of the width`);
    process.stdout.write(`${path} ok: ${shown.ratio.toFixed(3)}\n`);
  }
  assert.deepEqual(complaints, [], "the page complains");
});
