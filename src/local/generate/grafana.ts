/** Writes the files of src/grafana/: `npm run grafana`. Runs in Node by hand after a change; never part of the Worker. */

import { writeFileSync } from "node:fs";
import { renderPack } from "../../grafana/pack.ts";

for (const [name, text] of Object.entries(renderPack()))
  writeFileSync(`${import.meta.dirname}/../../grafana/${name}`, text);
