import { expect, test } from "vitest";
import { gapWords, share } from "../src/lib/util/gaps";

test("reasons are words", () => {
  expect(gapWords("camera", "auth_failed")).toBe("camera not there (auth failed)");
  expect(gapWords("new_reason")).toBe("new_reason");
});

test("only a whole day is 100 %", () => {
  expect(share(0, 0)).toBe("–");
  expect(share(86400, 0)).toBe("100 %");
  expect(share(86399, 1)).toBe("99.99 %");
  expect(share(50, 50)).toBe("50.00 %");
});
