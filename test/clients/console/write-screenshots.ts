// `npm run screenshots`: the pictures of README and docs/console.md, of the real console in front of a real local run. Not a test.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { launchBrowser } from "../../support/clients/browser.ts";
import { startLocalRun } from "../../support/servers/local-run.ts";

const FOLDER = join(import.meta.dirname, "../../../src/docs/images");
const SIZE = { width: 1280, height: 860 };

const run = await startLocalRun();
const browser = await launchBrowser();
try {
  mkdirSync(FOLDER, { recursive: true });
  const { waited } = await makeRequests();
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await browser.newContext({ colorScheme, viewport: SIZE });
    const page = await context.newPage();
    await page.goto(run.consoleUrl);
    await page.getByRole("heading", { name: "It runs. Send it a question." }).waitFor();
    const shoot = (name: string): Promise<unknown> =>
      page.screenshot({ path: join(FOLDER, `console-${name}-${colorScheme}.png`) });
    await open(page, `/console/trace?id=${waited}&tenant=demo`, ".rows .row");
    await shoot("trace");
    await open(page, "/console/requests?tenant=demo", "tbody tr");
    await shoot("requests");
    await context.close();
  }
} finally {
  await browser.close();
  await run.stop();
}

async function open(page: Page, path: string, drawn: string): Promise<void> {
  await page.goto(run.url + path);
  await page.locator(drawn).first().waitFor();
  await page.waitForLoadState("networkidle");
}

/** A fallback, a miss and its hit, a refusal, a failure, and one that waits behind others. */
async function makeRequests(): Promise<{ readonly waited: string }> {
  await ask({ model: "demo", stream: true });
  await ask({ model: "demo" }, { "x-headgate-cache": "on" });
  await ask({ model: "demo" }, { "x-headgate-cache": "on" });
  await ask({ model: "nowhere" });
  await ask({ model: "sim/overloaded" });
  const held = Array.from({ length: 8 }, () => ask({ model: "sim/slow", stream: true, max_tokens: 6 }));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const headers = {
    "x-headgate-metadata": JSON.stringify({ feature: "search" }),
    "x-headgate-session": "conv_0b71d4",
  };
  const waited = await ask({ model: "demo", stream: true }, headers);
  await Promise.all(held);
  return { waited };
}

async function ask(body: object, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const response = await fetch(`${run.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${run.demoKey}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ messages: [{ role: "user", content: "Why is the sky blue?" }], ...body }),
  });
  await response.arrayBuffer();
  return response.headers.get("x-trace-id") ?? "";
}
