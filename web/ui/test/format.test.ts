import { expect, it } from "vitest";
import { bytes, clock, count, day, duration, fixed, local, modelRef, plural, relative, when } from "../src/lib/util/format";

it.each([
  [0, "0 s"], [-5, "0 s"], [12_400, "12 s"], [59_600, "1 min"], [200_000, "3 min 20 s"], [1_500_000, "25 min"],
  [7_500_000, "2 h 05 min"], [273_600_000, "3 d 4 h"],
])("writes %i ms as %s", (ms, want) => expect(duration(ms)).toBe(want));

it.each([
  [0, "0 B"], [812, "812 B"], [1500, "1.50 kB"], [14_200_000, "14.2 MB"], [999_600, "1.00 MB"], [252e9, "252 GB"], [undefined, "–"],
])("writes %s bytes as %s", (n, want) => expect(bytes(n)).toBe(want));

it("writes counts, numbers and names", () => {
  expect(count(1234567)).toBe("1,234,567");
  expect(count(undefined)).toBe("–");
  expect(fixed(1.25, 1)).toBe("1.3");
  expect(fixed(null)).toBe("–");
  expect(plural(1, "camera")).toBe("1 camera");
  expect(plural(0, "camera")).toBe("0 cameras");
  expect(modelRef("default", 2)).toBe("default@2");
  expect(modelRef("default", 0)).toBe("default");
  expect(modelRef("", 1)).toBe("–");
});

it("writes times of today without their date", () => {
  const now = new Date(2026, 10, 25, 9, 30, 18, 123);
  expect(clock(now)).toBe("09:30:18");
  expect(clock(now, true)).toBe("09:30:18.123");
  expect(clock("nonsense")).toBe("–");
  expect(day(now)).toBe("2026-11-25");
  expect(when(now, now.getTime())).toBe("09:30:18");
  expect(when(new Date(2026, 10, 24, 9, 0, 0), now.getTime())).toBe("2026-11-24 09:00:00");
  expect(when("", 0)).toBe("–");
});

it("says how long ago or how soon", () => {
  expect(relative(10_000, 22_000)).toBe("12 s ago");
  expect(relative(30_000, 22_000)).toBe("in 8 s");
  expect(relative(22_100, 22_000)).toBe("now");
});

it("writes local times for inputs, which read them back", () => {
  const t = new Date(2026, 10, 25, 14, 3, 9).getTime();
  expect(local(t)).toBe("2026-11-25T14:03:09");
  expect(new Date(local(t)).getTime()).toBe(t);
});
