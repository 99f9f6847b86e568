// What a deployment opens by itself: nothing but the routes that its operator gives it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const config = readFileSync(join(import.meta.dirname, "../../../wrangler.toml"), "utf8");
/** Of the top of the file, before its first table. */
const settings = new Map(
  [...(config.split(/^\[/m)[0] ?? "").matchAll(/^(\w+) = (.+)$/gm)].map(([, name = "", value = ""]) => [
    name,
    value,
  ]),
);

test.each(["workers_dev", "preview_urls"])(
  "%s is off: no second name beside the one with access rules",
  (name) => {
    expect(settings.get(name)).toBe("false");
  },
);

test("nothing further down in the file switches them on again: an environment inherits them", () => {
  for (const name of ["workers_dev", "preview_urls"]) expect(config.split(name).length - 1, name).toBe(1);
});

test("no secret is among the settings", () => {
  expect(config).not.toMatch(/ADMIN_TOKEN|MASTER_KEY|apiKey/);
});

test("no log or span of the platform holds the URL of a request, where Google's clients may put a gateway key", () => {
  const table = (name: string): string => config.split(`\n[${name}]\n`)[1]?.split("\n[")[0] ?? "";
  expect(table("observability.logs")).toContain("invocation_logs = false");
  expect(table("observability.traces")).toContain("enabled = false");
});
