/**
 * Writes the matrix of clients, providers and features into src/providers/README.md: `npm run matrix`, after one of them has
 * changed. A script, not part of the Worker; the tables are rendered by the test that asserts each cell.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { renderMatrix, withMatrix } from "../../../test/unit/matrix/render.ts";

const path = `${import.meta.dirname}/../../providers/README.md`;
writeFileSync(path, withMatrix(readFileSync(path, "utf8"), renderMatrix()));
