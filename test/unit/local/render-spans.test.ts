import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ATTRIBUTES, EVENTS, isDouble, isListed, LINKS } from "../../../src/telemetry/trace/attributes.ts";
import { SPANS } from "../../../src/telemetry/trace/spans.ts";
import { renderAttributeNames, renderSpansDoc } from "../../../src/local/generate/render-spans.ts";

test("SPANS.md is what `npm run spans` writes", () => {
  const file = join(import.meta.dirname, "../../../src/telemetry/SPANS.md");
  expect(readFileSync(file, "utf8")).toBe(renderSpansDoc());
});

test("the Worker's list of attribute names is what `npm run spans` writes", () => {
  const file = join(import.meta.dirname, "../../../src/telemetry/trace/attribute-names.ts");
  expect(readFileSync(file, "utf8")).toBe(renderAttributeNames());
});

test("SPANS.md names every span, attribute, event and link", () => {
  const doc = renderSpansDoc();
  for (const name of [SPANS, ATTRIBUTES, EVENTS, LINKS].flatMap(Object.keys))
    expect(doc).toContain(`| \`${name}\` |`);
});

test("the list lets through its names and a client's metadata, and nothing that objects have by birth", () => {
  expect(isListed("gateway.tenant.id")).toBe(true);
  expect(isListed("gateway.metadata.team")).toBe(true);
  for (const name of ["toString", "constructor", "__proto__", "gateway.tenant", "url.full"]) {
    expect(isListed(name)).toBe(false);
  }
});

test("money is a fraction by nature, tokens are not", () => {
  expect([isDouble("gateway.cost.usd"), isDouble("gen_ai.usage.input_tokens")]).toEqual([true, false]);
});
