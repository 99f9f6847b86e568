/** Writes SPANS.md: `npm run spans`. Runs in Node by hand after a name was added; never part of the Worker. */

import { writeFileSync } from "node:fs";
import { renderSpansDoc } from "./spans-doc.ts";

writeFileSync(`${import.meta.dirname}/../../telemetry/SPANS.md`, renderSpansDoc());
