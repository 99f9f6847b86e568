// Writes the tables of src/telemetry/README.md: `npm run scenarios`, after a scenario was added or its tree has changed.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CHAPTERS } from "./chapters.ts";
import { withTables } from "./table.ts";

const README = join(import.meta.dirname, "../../../src/telemetry/README.md");
writeFileSync(README, withTables(readFileSync(README, "utf8"), CHAPTERS));
