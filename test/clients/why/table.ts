// The table of src/docs/why.md, from the situations that the test plants.
import type { Situation } from "./world.ts";

const MARK = "<!-- situations: written by npm run why -->";
const END = "<!-- end -->";

export function withSituations(document: string, situations: readonly Situation[]): string {
  const [before, rest] = document.split(MARK);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`the document has no '${MARK}'`);
  const rows = situations.map(({ name, kind }) => `| ${name} | \`${kind}\` |`);
  const table = ["| what is planted | first cause |", "| --- | --- |", ...rows].join("\n");
  return `${before}${MARK}\n\n${table}\n\n${END}${after}`;
}
