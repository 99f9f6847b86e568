// `npm run size`: builds the Worker as it is deployed, and fails when its gzipped size is over the bar.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildWorker } from "../../src/local/generate/build-worker.ts";
import { BUNDLE_BAR_KIB } from "./cases.ts";

const BYTES_PER_KIB = 1024;

const dir = mkdtempSync(join(tmpdir(), "headgate-size-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const file = join(dir, "worker.js");
await buildWorker({ file, isMinified: true });
const kib = gzipSync(readFileSync(file), { level: 9 }).length / BYTES_PER_KIB;
console.log(`bundle: ${kib.toFixed(1)} KiB minified and gzipped, of ${BUNDLE_BAR_KIB} KiB allowed`);
if (kib > BUNDLE_BAR_KIB) process.exitCode = 1;
