/** Every link of the documents leads somewhere, and every document that the code names exists. Addresses on the web are not called. */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const FILES = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => /\.(md|ts)$/.test(file) && existsSync(join(ROOT, file)));
const DOCUMENTS = FILES.filter((file) => file.endsWith(".md"));

const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

/** GitHub's anchors: lower case, without punctuation, spaces as hyphens; the second of a name ends in `-1`. */
function anchorsOf(markdown: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutFences(markdown).matchAll(/^#{1,6} +(.+)$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = text
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(/\s/g, "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
}

function withoutFences(markdown: string): string {
  return markdown.replaceAll(/^( *)```[\s\S]*?^\1```/gm, "");
}

/** What is wrong with the links of a document, as sentences. */
function faultsOf(file: string, markdown: string): readonly string[] {
  const prose = withoutFences(markdown).replaceAll(/`[^`\n]*`/g, "`");
  const links = [...prose.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target = ""]) => target);
  return links
    .filter((target) => !/^(https?:|mailto:)/.test(target))
    .flatMap((target) => {
      const [path = "", anchor] = target.split("#", 2);
      const found = path === "" ? file : join(dirname(file), path);
      if (!existsSync(join(ROOT, found))) return [`${file}: no file at ${target}`];
      if (anchor === undefined || statSync(join(ROOT, found)).isDirectory()) return [];
      return anchorsOf(read(found)).has(anchor) ? [] : [`${file}: no heading for ${target}`];
    });
}

/** Files of the repository that a document names by their path from the root; `*` and `{a,b}` are left to the reader. */
function filesIn(markdown: string): readonly string[] {
  const names = /(?<![\w/.{-])(?:src|routes|test)\/[\w./-]*\w\.(?:ts|md|json|yaml|toml)\b/g;
  return [...withoutFences(markdown).matchAll(names)].map(([path]) => path);
}

/** Documents that a text names by their path from the root, or decisions by their number, and that don't exist. */
function missingIn(file: string, text: string): readonly string[] {
  const paths = [...text.matchAll(/(?<![\w/.-])src\/(?:docs|decisions)\/[\w./-]*\w/g)].map(([path]) => path);
  if (file.endsWith(".md")) paths.push(...filesIn(text));
  const numbers = [...text.matchAll(/\bdecision (\d{3})\b/g)].map(([, number = ""]) => number);
  return [
    ...paths.filter((path) => !existsSync(join(ROOT, path))).map((path) => `${file}: ${path}`),
    ...numbers
      .filter((number) => !FILES.some((known) => known.startsWith(`src/decisions/${number}-`)))
      .map((number) => `${file}: decision ${number}`),
  ];
}

/**
 * Code files that a document names as code and that don't exist: by a path from the document, from the root, from `src/`, or
 * from the folder of `src/` that the document's folder of tests mirrors; a bare name may be anywhere.
 */
function missingCodeIn(file: string, markdown: string): readonly string[] {
  const folder = dirname(file);
  const roots = [folder, ".", "src", folder.replace(/^test\/unit\//, "src/")];
  const names = [...withoutFences(markdown).matchAll(/`((?:\.\.\/)*[\w./-]*\w\.ts)`/g)];
  return names
    .map(([, name = ""]) => name)
    .filter((name) => !/^[A-Z_]+\.ts$/.test(name))
    .filter((name) => !roots.some((root) => existsSync(join(ROOT, root, name))))
    .filter((name) => name.includes("/") || !FILES.some((known) => basename(known) === name))
    .map((name) => `${file}: ${name}`);
}

describe("the repository's documents", () => {
  it("have links that lead to files and headings", () => {
    expect(DOCUMENTS.flatMap((file) => faultsOf(file, read(file)))).toEqual([]);
  });

  it("exist where a document or the code names them", () => {
    const texts = FILES.filter((file) => !import.meta.filename.endsWith(file));
    expect(texts.flatMap((file) => missingIn(file, read(file)))).toEqual([]);
  });

  it("name code files that exist", () => {
    // A decision names what was there when it was made.
    const current = DOCUMENTS.filter((file) => !file.startsWith("src/decisions/"));
    expect(current.flatMap((file) => missingCodeIn(file, read(file)))).toEqual([]);
  });

  it("list every decision, each with its status and date", () => {
    const decisions = DOCUMENTS.filter((file) => /^src\/decisions\/\d{3}-/.test(file));
    const index = read("src/decisions/README.md");
    for (const file of decisions) {
      expect(index).toContain(`](${basename(file)})`);
      const [title, , status] = read(file).split("\n");
      expect(title, file).toMatch(new RegExp(`^# ${basename(file).slice(0, 3)} \\w`));
      expect(status, file).toMatch(/^Status: (proposed|accepted|closed), \d{4}-\d{2}-\d{2}[.;]/);
    }
  });

  it("name nothing that is outside the repository", () => {
    const outside =
      /(?<![\w/.-])(?:(?:api|architecture)\.md|tracing-facts)|(?<![\w/.-])\.\.\/(?:design|reference)\//;
    const texts = FILES.filter((file) => !import.meta.filename.endsWith(file));
    expect(texts.filter((file) => outside.test(read(file)))).toEqual([]);
  });
});

describe("the link check", () => {
  it("finds a file that doesn't exist, and a heading that doesn't", () => {
    const text =
      "See [this](no-such-file.md), [that](README.md#no-such-heading) and [these](README.md#two-commands).";
    expect(faultsOf("README.md", text)).toEqual([
      "README.md: no file at no-such-file.md",
      "README.md: no heading for README.md#no-such-heading",
    ]);
  });

  it("finds a document and a decision that don't exist", () => {
    expect(missingIn("a.ts", "/** src/docs/none.md, and decision 999; src/docs/README.md. */")).toEqual([
      "a.ts: src/docs/none.md",
      "a.ts: decision 999",
    ]);
  });

  it("finds a code file that doesn't exist, in whatever way it is named", () => {
    const text =
      "`config.ts`, `pricing/cost.ts`, `KIND.ts`, `no-such.ts`, `pricing/no-such.ts`, `../gone.ts`";
    expect(missingCodeIn("src/README.md", text)).toEqual([
      "src/README.md: no-such.ts",
      "src/README.md: pricing/no-such.ts",
      "src/README.md: ../gone.ts",
    ]);
    expect(missingCodeIn("test/unit/limits/README.md", "`usage/spend.ts`")).toEqual([]);
  });

  it("reads no link in code", () => {
    expect(faultsOf("README.md", "```\n[a](b.md)\n```\nand `[c](d.md)`")).toEqual([]);
  });
});
