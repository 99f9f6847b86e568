// The plain words that documents, comments and messages are written in, as far as a test can tell: no "he" for a client, and none of the
// phrases that were replaced. Documents outside of the repository are docs-links.test.ts.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const FILES = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter(
    (file) => /^(?:src\/|routes\/|test\/|README\.md$|\.github\/)/.test(file) && /\.(?:ts|md)$/.test(file),
  )
  // Generated: prices, and the platform's types. This file names the words.
  .filter((file) => !/price-table\.ts$|worker-configuration\.d\.ts$|\/words\.test\.ts$/.test(file))
  .filter((file) => existsSync(join(ROOT, file)));

/** What is written in place of what. */
const REPLACED: readonly (readonly [RegExp, string])[] = [
  [/\b(?:he|him|his|himself)\b/i, "it, they"],
  [/\b(?:nobody|anybody|whoever)\b/i, "no one and none, a plain subject, or nothing at all"],
  [/\b(?:anew|at hand)\b/i, "again; ready, prefetched, known"],
  [/\bits moment\b/i, "its start time"],
  [/\b(?:is|are) told\b/i, "gets, receives, is sent"],
  [/asks? to be left alone/i, "is rate-limiting us"],
  [/fell silent/i, "sent no data for 30 s"],
  [/not set up rightly/i, "misconfigured"],
  [/under a status of success/i, "with a 2xx status"],
  [/\bis no JSON\b/i, "is not JSON"],
  [/speaks? (?:Converse|Cohere)\b/i, "is an upstream-only wire"],
  [/mean nothing to this model/i, "doesn't accept token ids"],
  [/knows no such provider/i, "unknown provider kind"],
  [/There is nothing at/i, "No route for"],
  [/can't be (?:told|asked) just now/i, "is unavailable"],
];

/** What a line has that it should not, and what to write. */
function replacedWord(line: string): string | undefined {
  const found = REPLACED.find(([word]) => word.test(line));
  return found && `${found[0].exec(line)?.[0]} (write: ${found[1]})`;
}

/** Of a test, comments and titles alone: what it sends, and what its checks look for, may be any word. */
const TEST_PROSE = /^\s*(?:\/\/|\/?\*)|\b(?:test|it|describe)(?:\.\w+)?\(|^\s*\]\)\(/;

function isProse(file: string, line: string): boolean {
  return !file.startsWith("test/") || file.endsWith(".md") || TEST_PROSE.test(line);
}

it("source, routes, documents and the prose of tests have none of the words that were replaced", () => {
  const breaches = FILES.flatMap((file) =>
    readFileSync(join(ROOT, file), "utf8")
      .split("\n")
      .flatMap((line, index) => {
        const found = isProse(file, line) ? replacedWord(line) : undefined;
        return found === undefined ? [] : [`${file}:${index + 1}: ${found}`];
      }),
  );
  expect(breaches).toEqual([]);
});

describe("the check of words", () => {
  it.each(["as he likes", "His key", "nobody reads it", "is told of it", "'x' fell silent"])(
    "finds %j",
    (line) => {
      expect(replacedWord(line)).toBeDefined();
    },
  );
  it("reads comments and titles of a test, not its values", () => {
    const lines = [
      "// As he likes.",
      ' * His key."',
      'test("he waits", () => {',
      '  ])("is told %s", () => {',
    ];
    expect(lines.filter((line) => !isProse("test/a.test.ts", line))).toEqual([]);
    expect(isProse("test/a.test.ts", 'const model = "nobody/m";')).toBe(false);
    expect(isProse("src/a.ts", 'const model = "nobody/m";')).toBe(true);
  });
  it.each(["the rest", "this is theirs", "whose history", "hand in hand"])("lets %j be", (line) => {
    expect(replacedWord(line)).toBeUndefined();
  });
});
