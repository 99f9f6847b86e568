/** Writes src/telemetry/SPANS.md: `npm run spans`, after a name or its meaning has changed. A script, not part of the Worker. */

import { writeFileSync } from "node:fs";
import { renderSpansDoc } from "./render-spans.ts";

writeFileSync(`${import.meta.dirname}/../../telemetry/SPANS.md`, renderSpansDoc());
