// Opens the recordings page of a running daemon and does what somebody does at
// three in the morning: look what happened, play it, keep it. The camera "good"
// has two recorded stretches with a gap between them; a bright box moves in them
// and is detected as a person. Run by pipeline/e2e:
//
//   node recordings.mjs PAGE GAP_START GAP_END
//
// GAP_START and GAP_END are times (RFC 3339) around the gap.
import assert from "node:assert/strict";
import process from "node:process";
import { withPage } from "./browser.mjs";

const [url, gapStart, gapEnd] = process.argv.slice(2);
const PATIENCE = 60_000;
const [from, to] = [Date.parse(gapStart), Date.parse(gapEnd)];
const at = (t) => `${url}#/recordings/good?at=${new Date(t).toISOString()}`;

/** Waits until the moment shown satisfies test, and returns it in ms. */
async function shows(page, test, what) {
  try {
    await page.waitForFunction(test, [from, to], { timeout: PATIENCE });
  } catch (err) {
    throw new Error(`${what}; shown is ${await page.getByTestId("recorded-time").getAttribute("data-time")}`, { cause: err });
  }
  return Date.parse(await page.getByTestId("recorded-time").getAttribute("data-time"));
}

async function playsWithBoxes(page) {
  await page.goto(at(from - 8000));
  await page.waitForFunction(() => {
    const video = document.querySelector("[data-testid=recorded-video] video");
    const boxes = document.querySelector("[data-testid=recorded-video] [data-testid=overlay]")?.dataset.boxes ?? "[]";
    return video?.videoWidth > 0 && video.currentTime > 0 && JSON.parse(boxes).some((b) => b.label === "person");
  }, undefined, { timeout: PATIENCE });
}

async function jumpsOverTheGap(page) {
  await page.getByTestId("skipped").waitFor({ timeout: PATIENCE });
  assert.match(await page.getByTestId("skipped").innerText(), /not recorded/);
  await shows(page, ([, end]) => Date.parse(document.querySelector("[data-testid=recorded-time]").dataset.time) >= end - 3000, "it goes on after the gap");
}

async function seeksWithMouseAndKeys(page) {
  await page.keyboard.press(" ");
  await page.waitForFunction(() => document.querySelector("[data-testid=recorded-video] video").paused, undefined, { timeout: PATIENCE });
  await page.goto(at(from - 6000));
  const first = await shows(page, ([start]) => Math.abs(Date.parse(document.querySelector("[data-testid=recorded-time]").dataset.time) - (start - 6000)) < 1500, "the moment of the address");
  await page.keyboard.press("ArrowRight"); // into the gap or beyond it
  await shows(page, ([start]) => Date.parse(document.querySelector("[data-testid=recorded-time]").dataset.time) > start, "ten seconds on");
  for (let i = 0; i < 7; i++) await page.keyboard.press("+");
  const line = page.getByTestId("timeline");
  const area = await line.boundingBox();
  const [start, end] = await line.evaluate((e) => [Number(e.dataset.start), Number(e.dataset.end)]);
  assert.ok(Math.abs(end - start - 60_000) < 1, "looked at as close as can be");
  const x = (t) => area.x + ((t - start) / (end - start)) * area.width;
  if (first > start && first < end) {
    await page.mouse.click(x(first), area.y + 40);
    await shows(page, ([gap]) => Math.abs(Date.parse(document.querySelector("[data-testid=recorded-time]").dataset.time) - (gap - 6000)) < 2500, "the moment clicked");
  }
  await page.getByTestId("event-before").click();
  await page.waitForFunction(() => !document.querySelector("[data-testid=event-before]").disabled, undefined, { timeout: PATIENCE });
}

async function keepsASelection(page) {
  await page.goto(at(from - 5000));
  await shows(page, ([start]) => Math.abs(Date.parse(document.querySelector("[data-testid=recorded-time]").dataset.time) - (start - 5000)) < 1500, "the moment of the address");
  await page.keyboard.press("o");
  await page.getByTestId("selection").waitFor({ timeout: PATIENCE });
  await page.keyboard.press("k");
  await page.getByTestId("keep-label").fill("Somebody at the gate");
  await page.getByTestId("keep-save").click();
  await page.getByTestId("kept").getByText("Somebody at the gate").waitFor({ timeout: PATIENCE });
  const keeps = () => page.evaluate(async () => (await (await fetch("api/v1/cameras/good/keeps")).json()).items);
  const [kept, ...others] = await keeps();
  assert.equal(others.length, 0);
  assert.equal(kept.note, "Somebody at the gate");
  assert.ok(Math.abs(Date.parse(kept.to) - Date.parse(kept.from) - 60_000) < 10, JSON.stringify(kept));
  await page.getByTestId("unkeep").click();
  await page.getByTestId("confirm-yes").click();
  await page.getByTestId("kept").waitFor({ state: "detached", timeout: PATIENCE });
  assert.deepEqual(await keeps(), []);
}

async function comesFromAnEvent(page) {
  await page.goto(`${url}#/events`);
  await page.getByTestId("event-play").first().click();
  await page.locator('[data-testid=page][data-page="recordings"]').waitFor({ timeout: PATIENCE });
  await page.getByTestId("recorded-video").waitFor({ timeout: PATIENCE });
}

await withPage(async (page, complaints) => {
  for (const step of [playsWithBoxes, jumpsOverTheGap, seeksWithMouseAndKeys, keepsASelection, comesFromAnEvent]) {
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
