// The real Chromium that console tests drive. Where there is none they are skipped with a message; on CI (`CI` is set) that is an error.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const CANDIDATES = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Undefined where no browser is installed. */
export const BROWSER_PATH = CANDIDATES.find((path) => path !== undefined && existsSync(path));

if (BROWSER_PATH === undefined) {
  const message =
    "Console tests need Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM to its path.";
  if (process.env["CI"] !== undefined) throw new Error(message);
  console.warn(`${message} They are skipped.`);
}

export function launchBrowser(): Promise<Browser> {
  // Without a sandbox: containers run tests as root, and every page is our own.
  return chromium.launch({
    ...(BROWSER_PATH !== undefined && { executablePath: BROWSER_PATH }),
    args: ["--no-sandbox"],
  });
}
