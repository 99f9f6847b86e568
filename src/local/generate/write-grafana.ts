/** Writes the files of src/grafana: `npm run grafana`, after a dashboard or an alert has changed. A script, not part of the Worker. */

import { writeFileSync } from "node:fs";
import { renderPack } from "../../grafana/pack.ts";

for (const [name, text] of Object.entries(renderPack()))
  writeFileSync(`${import.meta.dirname}/../../grafana/${name}`, text);
