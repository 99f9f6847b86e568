/**
 * Writes src/telemetry/SPANS.md and the list of attribute names: `npm run spans`, after a name or its meaning has changed. A
 * script, not part of the Worker.
 */

import { writeFileSync } from "node:fs";
import { renderAttributeNames, renderSpansDoc } from "./render-spans.ts";

const TELEMETRY = `${import.meta.dirname}/../../telemetry`;

writeFileSync(`${TELEMETRY}/SPANS.md`, renderSpansDoc());
writeFileSync(`${TELEMETRY}/trace/attribute-names.ts`, renderAttributeNames());
