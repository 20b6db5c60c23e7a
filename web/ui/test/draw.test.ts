import { expect, it } from "vitest";
import { ApiError, url } from "../src/lib/api/http";
import { contain, sizeOf } from "../src/lib/live/draw";
import { colourOf } from "../src/lib/live/palette";

it("fits a picture whole into its box", () => {
  const fit = (width: number, height: number, w: number, h: number) => contain({ width, height }, { width, height }, w, h);
  expect(fit(640, 360, 1280, 720)).toEqual({ x: 0, y: 0, sx: 2, sy: 2 });
  expect(fit(400, 400, 1000, 500)).toEqual({ x: 250, y: 0, sx: 1.25, sy: 1.25 });
  expect(fit(1600, 400, 800, 600)).toEqual({ x: 0, y: 200, sx: 0.5, sy: 0.5 });
  expect(fit(0, 0, 800, 600).sx).toBe(0);
});

it("stretches boxes with pixels that are not square", () => {
  // 960 × 1080 of a half-width recorder, shown as 1920 × 1080
  const half = { width: 960, height: 1080 };
  expect(contain(half, { width: 1920, height: 1080 }, 1920, 1080)).toEqual({ x: 0, y: 0, sx: 2, sy: 1 });
  expect(contain(half, { width: 1920, height: 1080 }, 960, 960)).toEqual({ x: 0, y: 210, sx: 1, sy: 0.5 });
  expect(contain(half, { width: 0, height: 0 }, 960, 960).sx).toBe(0);
  const video = (videoWidth: number, videoHeight: number) => ({ videoWidth, videoHeight }) as HTMLVideoElement;
  expect(sizeOf(video(1024, 576))).toEqual({ width: 1024, height: 576 });
  expect(sizeOf(video(0, 0))).toBeUndefined(); // nothing is known before it plays
  expect(sizeOf(undefined)).toBeUndefined();
});

it("gives a label the same colour every time", () => {
  expect(colourOf("person")).toBe("#ffd400");
  expect(colourOf("zebra")).toBe(colourOf("zebra"));
  expect(colourOf("zebra")).toMatch(/^#[0-9a-f]{6}$/);
});

it("writes addresses with their query", () => {
  expect(url("/tracks", { camera_id: "door", label: "", limit: 5, cursor: undefined })).toBe("/api/v1/tracks?camera_id=door&limit=5");
  expect(url("/events/stream", { camera_id: ["a", "b"] })).toBe("/api/v1/events/stream?camera_id=a&camera_id=b");
});

it("says what went wrong and in which field", () => {
  const err = new ApiError(422, {
    title: "Unprocessable Entity", detail: "validation failed",
    errors: [{ message: "expected length >= 1", location: "body.name" }, { message: "must be rtsp://", location: "body.url" }],
  });
  expect(err.message).toBe("expected length >= 1");
  expect(err.fields).toEqual({ name: "expected length >= 1", url: "must be rtsp://" });
  expect(new ApiError(404, { detail: "there is no camera x" }).message).toBe("there is no camera x");
  expect(new ApiError(0, {}).message).toBe("detectd does not answer");
  expect(new ApiError(500, {}).message).toBe("the server answered 500");
});
