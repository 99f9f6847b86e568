// The scenarios as tables in Markdown, and their place in src/telemetry/README.md: written by `npm run scenarios`, compared by
// table.test.ts.
import type { Chapter } from "./chapters.ts";
import { ALONE, ENTRY, FIRST_OF_TWO, PASSED, SETTLED } from "./scenario.ts";

/** Between these the tables stand in the README. */
const BEGIN = "<!-- scenarios: `npm run scenarios` -->";
const END = "<!-- end of scenarios -->";

/** The README with these tables in place of those that are there. */
export function withTables(readme: string, chapters: readonly Chapter[]): string {
  const [before, rest] = readme.split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`the README has no '${BEGIN}' … '${END}'`);
  return `${before}${BEGIN}\n\n${chapters.map(render).join("\n\n")}\n\n${END}${after}`;
}

function render({ title, scenarios }: Chapter): string {
  const rows = scenarios.map(({ name, done, tree }) => `| **${name}** | ${done} | ${drawRow(tree)} |`);
  return [
    `### ${title}`,
    "",
    "| scenario | what is done | the tree it leaves |",
    "| --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** Runs of spans that many trees have, the longest first, and the word that stands for each. */
const RUNS: readonly (readonly [string, readonly string[]])[] = [
  ["admitted", PASSED],
  ["admitted by a route", ALONE],
  ["admitted by a route of two", FIRST_OF_TWO],
  ["known", ENTRY],
  ["settled", SETTLED],
];

/** A tree in one line: `›` leads to a child, a comma to that child's sibling, `·` to the next span under the root. */
function drawRow(tree: readonly string[]): string {
  let row = "";
  for (let at = 0; at < tree.length;) {
    const run = RUNS.find(([, lines]) => lines.every((line, index) => tree[at + index] === line));
    const line = tree[at] ?? "";
    const isGrandchild = line.startsWith("    ");
    const part = run === undefined ? code(line) : `*${run[0]}*`;
    const isSibling = isGrandchild && (tree[at - 1] ?? "").startsWith("    ");
    row += `${at === 0 ? "" : isSibling ? ", " : isGrandchild ? " › " : " · "}${part}`;
    at += run === undefined ? 1 : run[1].length;
  }
  return row;
}

function code(line: string): string {
  return `\`${line.trim()}\``;
}
