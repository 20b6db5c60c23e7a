// Opens live and recorded video of turned cameras in the page of a running daemon, and
// looks whether their boxes lie on the bright box in it. Run by pipeline/e2e:
//
//   node turned.mjs PAGE RECORDED CAMERA=DEGREES...
//
// RECORDED is a time (RFC 3339) that all cameras have recorded.
import assert from "node:assert/strict";
import process from "node:process";
import { withPage } from "./browser.mjs";

const [url, recorded, ...cameras] = process.argv.slice(2);
const PATIENCE = 60_000;

/** What is shown, where its bright box is and where the drawn one, in pixels of the upright picture. */
async function look(page, inside) {
  await page.waitForFunction((inside) => {
    const video = document.querySelector(`${inside} video`);
    const boxes = document.querySelector(`${inside} [data-testid=overlay]`)?.dataset.boxes ?? "[]";
    return video?.videoWidth > 0 && video.currentTime > 0 && JSON.parse(boxes).length > 0;
  }, inside, { timeout: PATIENCE });
  return page.evaluate((inside) => {
    const video = document.querySelector(`${inside} video`);
    const overlay = document.querySelector(`${inside} [data-testid=overlay]`);
    const [width, height] = [video.videoWidth, video.videoHeight];
    const copy = new OffscreenCanvas(width, height).getContext("2d");
    copy.drawImage(video, 0, 0);
    const pixels = copy.getImageData(0, 0, width, height).data;
    const bright = { left: width, top: height, right: 0, bottom: 0 };
    for (let i = 0; i < width * height; i++) {
      if (pixels[4 * i] < 180) continue;
      const [x, y] = [i % width, Math.floor(i / width)];
      bright.left = Math.min(bright.left, x);
      bright.right = Math.max(bright.right, x + 1);
      bright.top = Math.min(bright.top, y);
      bright.bottom = Math.max(bright.bottom, y + 1);
    }
    // How many of the bright box's corners have paint near them.
    const scale = Math.min(overlay.width / width, overlay.height / height);
    const [dx, dy] = [(overlay.width - width * scale) / 2, (overlay.height - height * scale) / 2];
    const near = Math.ceil(6 * scale);
    const corners = [[bright.left, bright.top], [bright.right, bright.top], [bright.left, bright.bottom], [bright.right, bright.bottom]];
    const painted = corners.filter(([x, y]) => {
      const around = overlay.getContext("2d").getImageData(Math.round(dx + x * scale) - near, Math.round(dy + y * scale) - near, 2 * near, 2 * near).data;
      return around.some((v, i) => i % 4 === 3 && v > 0);
    }).length;
    return {
      size: [width, height], bright, style: video.style.transform,
      painted, boxes: JSON.parse(overlay.dataset.boxes),
    };
  }, inside);
}

await withPage(async (page, complaints) => {
  for (const spec of cameras) {
    const [id, degrees] = spec.split("=");
    const quarter = degrees === "90" || degrees === "270";
    for (const [path, inside] of [
      [`cameras/${id}`, "[data-testid=live-video]"],
      [`recordings/${id}?at=${recorded}`, "[data-testid=recorded-video]"],
    ]) {
      await page.goto(`${url}#/${path}`);
      const seen = await look(page, inside);
      const about = `${path}: ${JSON.stringify(seen)}`;
      assert.deepEqual(seen.size, quarter ? [240, 320] : [320, 240], about);
      assert.equal(seen.style, "", about);
      assert.equal(seen.boxes.length, 1, about);
      assert.equal(seen.boxes[0].label, quarter ? "car" : "person", about);
      const [x, y, w, h] = seen.boxes[0].box;
      const near = (a, b) => assert.ok(Math.abs(a - b) <= 6, `${a} is not ${b}; ${about}`);
      near(x, seen.bright.left);
      near(y, seen.bright.top);
      near(x + w, seen.bright.right);
      near(y + h, seen.bright.bottom);
      assert.equal(seen.painted, 4, about);
      if (process.env.SCREENSHOT) {
        for (const [width, height] of [[1440, 900], [390, 844]]) {
          await page.setViewportSize({ width, height });
          await page.waitForTimeout(1500);
          await page.screenshot({ path: `${process.env.SCREENSHOT}-${path.split("?")[0].replace("/", "-")}-${width}.png`, fullPage: true });
        }
        await page.setViewportSize({ width: 1280, height: 800 });
      }
      process.stdout.write(`${path} ok\n`);
    }
  }
  // The form says what a change of the rotation does to zones.
  const [id] = cameras[0].split("=");
  await page.goto(`${url}#/cameras/${id}`);
  await page.getByTestId("edit-camera").click();
  const form = page.getByTestId("camera-form");
  assert.equal(await form.locator("[name=rotation]").inputValue(), cameras[0].split("=")[1]);
  await form.locator("[name=rotation]").selectOption("0");
  await form.getByText(/turned along/).waitFor();
  await page.getByTestId("save-camera").click();
  await page.waitForFunction(() => {
    const video = document.querySelector("[data-testid=live-video] video");
    return video?.videoWidth === 320 && video.videoHeight === 240 && video.currentTime > 0;
  }, undefined, { timeout: PATIENCE });
  assert.deepEqual(complaints, [], "the page complains");
});
