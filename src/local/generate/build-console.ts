/**
 * Bundles the console (src/console/) into static files under `dist/site/`, which the platform serves beside the Worker: a page each,
 * their scripts with what they share apart, one stylesheet, and the headers of all. Wrangler runs it before each build.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "../../..");
const SOURCE = join(ROOT, "src/console");
const SITE = join(ROOT, "dist/site");
const CONSOLE = join(SITE, "console");

const PAGES = [
  { name: "login", title: "Sign in" },
  { name: "requests", title: "Requests" },
  { name: "trace", title: "Trace" },
  { name: "queues", title: "Queues" },
  { name: "keys", title: "Keys" },
  { name: "settings", title: "Settings" },
  { name: "welcome", title: "Welcome" },
] as const;

/**
 * No inline script or style, nothing from other hosts, no frames. `style-src-attr` isn't needed: the console sets custom
 * properties through the CSSOM, which the policy does not concern (https://www.w3.org/TR/CSP3/, seen 2026-11).
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = `/console/*
  Content-Security-Policy: ${POLICY}
  Referrer-Policy: no-referrer
  X-Content-Type-Options: nosniff
  Cross-Origin-Opener-Policy: same-origin
`;

const REDIRECTS = `/ /console/requests 302
/console /console/requests 302
`;

mkdirSync(CONSOLE, { recursive: true });
const { outputFiles } = await build({
  absWorkingDir: ROOT,
  entryPoints: [
    ...PAGES.map(({ name }) => join(SOURCE, `${name}-page.tsx`)),
    join(SOURCE, "theme-early.ts"),
    join(SOURCE, "console.css"),
  ],
  outdir: CONSOLE,
  entryNames: "[name]-[hash]",
  chunkNames: "shared-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["chrome123", "firefox120", "safari17.5"],
  minify: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  // What has not changed stays as it is: a gateway may be serving it.
  write: false,
  logLevel: "warning",
});

for (const { path, contents } of outputFiles) writeChanged(path, contents);
const built = outputFiles.map(({ path }) => basename(path));
const template = readFileSync(join(SOURCE, "page.html"), "utf8");
for (const { name, title } of PAGES) {
  const page = template
    .replace("TITLE", title)
    .replace("STYLE", fileOf("console-"))
    .replace("EARLY", fileOf("theme-early-"))
    .replace("SCRIPT", fileOf(`${name}-page-`));
  writeChanged(join(CONSOLE, `${name}.html`), page);
}
writeChanged(join(CONSOLE, "icon.svg"), readFileSync(join(SOURCE, "icon.svg")));
writeChanged(join(SITE, "_headers"), HEADERS);
writeChanged(join(SITE, "_redirects"), REDIRECTS);
const kept = new Set([...built, "icon.svg", ...PAGES.map(({ name }) => `${name}.html`)]);
for (const old of readdirSync(CONSOLE).filter((name) => !kept.has(name))) rmSync(join(CONSOLE, old));

function writeChanged(path: string, contents: string | Uint8Array): void {
  const bytes = Buffer.from(contents);
  if (!existsSync(path) || !readFileSync(path).equals(bytes)) writeFileSync(path, bytes);
}

function fileOf(prefix: string): string {
  const found = built.find((file) => file.startsWith(prefix));
  if (found === undefined) throw new Error(`The bundle has no file ${prefix}*.`);
  return found;
}
