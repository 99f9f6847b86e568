/** Every regular expression of src and routes takes time linear in its text, also on the text that suits it worst. */

import { transformSync } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KEYS_IN_ERRORS, KEYS_IN_TEXT } from "../../../src/runtime/credential-patterns.ts";
import { SECRET_ASSIGNMENT, SECRET_FIELD_NAME } from "../../../src/telemetry/content/redact.ts";
import { KEY_PATTERN, TOKEN_PATTERN } from "../../../src/tenants/key-format.ts";
import {
  findExpressions,
  pumpsOf,
  type FoundExpression,
} from "../../support/checkers/regular-expressions.ts";

const ROOT = join(import.meta.dirname, "../../..");
/** A linear search of the longest takes some 0.1 ms, a quadratic one more than 100 ms; an exponential one fails by the shortest. */
const TEXT_CHARS = [26, 52, 80, 400, 12_000];
const MAX_MS = 40;
const TRIES = 3;

const files = ["src", "routes"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
    .map((name) => join(folder, name)),
);
const sources = files.map((file) => ({
  file,
  text: withoutMarkup(file, readFileSync(join(ROOT, file), "utf8").replace(/^#!.*/, "")),
}));

/** A closing tag of a component would look like the beginning of an expression. */
function withoutMarkup(file: string, text: string): string {
  return file.endsWith("x") ? transformSync(text, { loader: "tsx" }).code : text;
}

interface Placed {
  readonly name: string;
  readonly expression: FoundExpression;
}

function place(file: string, expression: FoundExpression): Placed {
  return { name: `${file}: /${expression.source}/${expression.flags}`, expression };
}

/** Those that are put together by code, by module. */
const BUILT: Readonly<Record<string, readonly RegExp[]>> = {
  // The mark is a text that the JSON does not contain.
  "src/json/exact.ts": [/"<mark>(\d+)"/g],
  "src/runtime/credential-patterns.ts": [KEYS_IN_TEXT, KEYS_IN_ERRORS],
  "src/telemetry/content/redact.ts": [SECRET_ASSIGNMENT, SECRET_FIELD_NAME],
  "src/tenants/key-format.ts": [KEY_PATTERN, TOKEN_PATTERN],
};

interface Timed {
  readonly ms: number;
  readonly pump: string;
}

/** The slowest repeated text and its time; ends with the first that is too slow. */
function slowest({ source, flags }: FoundExpression): Timed {
  const expression = new RegExp(source, flags.replace("y", ""));
  const pumps = pumpsOf({ source, flags });
  let worst: Timed = { ms: 0, pump: "" };
  for (const chars of TEXT_CHARS) {
    for (const pump of pumps) {
      for (const end of ["", "\u0000"]) {
        const ms = timeOf(expression, pump.repeat(Math.ceil(chars / pump.length)) + end);
        if (ms > worst.ms) worst = { ms, pump };
        if (ms > MAX_MS) return worst;
      }
    }
  }
  return worst;
}

/** The best of a few tries, since the machine has other work. Replacing looks at every place of the text. */
function timeOf(expression: RegExp, text: string): number {
  let ms = Number.POSITIVE_INFINITY;
  for (let tried = 0; tried < TRIES && ms > MAX_MS; tried++) {
    const startedAt = performance.now();
    text.replace(expression, "");
    ms = Math.min(ms, performance.now() - startedAt);
  }
  return ms;
}

const literals = sources.flatMap(({ file, text }) =>
  findExpressions(text).map((found) => place(file, found)),
);
const built = Object.entries(BUILT).flatMap(([file, list]) =>
  list.map((expression) => place(file, expression)),
);
const distinct = [...new Map([...literals, ...built].map((each) => [each.name, each])).values()];

describe("regular expressions", () => {
  test("are found, written and built", () => {
    expect(distinct.length).toBeGreaterThan(150);
    expect(literals.filter(({ name }) => name.includes(".tsx:"))).not.toEqual([]);
    const builders = sources.filter(({ text }) => text.includes("new RegExp(")).map(({ file }) => file);
    expect(builders.toSorted()).toEqual(Object.keys(BUILT).toSorted());
  });

  test.each(distinct)("$name", ({ expression }) => {
    const { ms, pump } = slowest(expression);
    expect(ms, `repeated: ${JSON.stringify(pump)}`).toBeLessThan(MAX_MS);
  });
});

test.each(["\\/+$", "(?<![A-Za-z0-9])eyJ[\\w-]{8,}\\.\\w", "^(?:a+)+$", "\\s*,", "x.*y"])(
  "the check finds that /%s/ is not linear",
  (source) => {
    expect(slowest({ source, flags: "" }).ms).toBeGreaterThan(MAX_MS);
  },
);
