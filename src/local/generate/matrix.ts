/**
 * Writes the matrix of clients, providers and features into src/providers/README.md: `npm run matrix`. Runs in Node by hand after one of them changed; never
 * part of the Worker. What it writes is made by the test that asserts each cell.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { renderMatrix, withMatrix } from "../../../test/unit/matrix/render.ts";

const path = `${import.meta.dirname}/../../providers/README.md`;
writeFileSync(path, withMatrix(readFileSync(path, "utf8"), renderMatrix()));
