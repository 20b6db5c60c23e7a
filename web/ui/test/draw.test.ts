import { expect, it } from "vitest";
import { ApiError, url } from "../src/lib/api/http";
import { contain } from "../src/lib/live/draw";
import { colourOf } from "../src/lib/live/palette";

it("fits a picture whole into its box", () => {
  expect(contain(640, 360, 1280, 720)).toEqual({ x: 0, y: 0, scale: 2 });
  expect(contain(400, 400, 1000, 500)).toEqual({ x: 250, y: 0, scale: 1.25 });
  expect(contain(1600, 400, 800, 600)).toEqual({ x: 0, y: 200, scale: 0.5 });
  expect(contain(0, 0, 800, 600).scale).toBe(0);
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
