// Writes the tables of src/docs/security.md: `npm run security`, after an attack or a route was added.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ATTACKS } from "./chapters.ts";
import { FINDINGS } from "./findings.ts";
import { WALKED } from "./routes.ts";
import { withSecurityTables } from "./table.ts";

const FILE = join(import.meta.dirname, "../../../src/docs/security.md");
writeFileSync(FILE, withSecurityTables(readFileSync(FILE, "utf8"), ATTACKS, WALKED, FINDINGS));
