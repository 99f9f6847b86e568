/** One list of credential forms for error messages and for captured content: each form is found in both. */

import { describe, expect, test } from "vitest";
import { redactText } from "../../../src/telemetry/content/redact.ts";
import { scrubCredentials } from "../../../src/wires/scrub-credentials.ts";

const REST = "Ab3dEf6hIj9kLm2nOp5qRs8t";

describe.each([
  `sk-${REST}`,
  `ak-${REST}`,
  `hg_${REST}`,
  `ghp_${REST}`,
  `github_pat_${REST}`,
  `glpat-${REST}`,
  `glcbt_${REST}`,
  `xoxb-${REST}`,
  "AKIAABCDEFGHIJKLMNOP",
  `AIza${REST}${REST}`,
  `ya29.${REST}`,
  `gsk_${REST}`,
  `csk-${REST}`,
  `dapi-${REST}`,
  `npm_${REST}`,
  `SG.${REST}.${REST}`,
  `eyJ${REST}.${REST}.${REST}`,
])("a key like %s", (key) => {
  test("is cut out of an error message", () => {
    expect(scrubCredentials(`Key ${key} is invalid`, [])).toBe("Key [redacted] is invalid");
  });

  test("is masked in captured content", () => {
    expect(redactText(`use ${key} here`)).toBe("use [secret] here");
  });
});

test("an error message's masked and shortened keys are cut out too, and its plain words stay", () => {
  expect(
    scrubCredentials("Incorrect API key provided: sk-ab****yz12. See glass-ceiling, npm-run-all.", []),
  ).toBe("Incorrect API key provided: [redacted] See glass-ceiling, npm-run-all.");
});
