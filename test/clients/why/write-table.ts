// Writes the table of src/docs/why.md, after a situation was added.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SITUATIONS } from "./situations.ts";
import { withSituations } from "./table.ts";

const FILE = join(import.meta.dirname, "../../../src/docs/why.md");
writeFileSync(FILE, withSituations(readFileSync(FILE, "utf8"), SITUATIONS));
