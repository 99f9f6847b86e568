/** The console in a real browser, against `npm start`: first run, list, trace, keyboard, sign-in, hostile text, accessibility, widths. */

import axe, { type AxeResults } from "axe-core";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BROWSER_PATH, launchBrowser } from "../../support/clients/browser.ts";
import { type LocalRun, startLocalRun } from "../../support/servers/local-run.ts";

const START_TIMEOUT_MS = 120_000;
const CONSOLE_DIR = join(import.meta.dirname, "../../../dist/site/console");
const HOSTILE = "<img src=x onerror=alert(1)>";

describe.skipIf(BROWSER_PATH === undefined)("the console", () => {
  let run: LocalRun;
  let browser: Browser;
  let context: BrowserContext;
  /** What pages complained of, and hosts they called that are not ours. */
  const complaints: string[] = [];

  beforeAll(async () => {
    [run, browser] = await Promise.all([startLocalRun(), launchBrowser()]);
    context = await newContext();
    const page = await context.newPage();
    await page.goto(run.consoleUrl);
    await page.getByRole("heading", { name: "It runs. Send it a question." }).waitFor();
    await page.close();
    await ask({ model: "sim/overloaded" });
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await browser.close();
    await run.stop();
  });

  async function newContext(
    options: { colorScheme?: "light" | "dark"; width?: number } = {},
  ): Promise<BrowserContext> {
    const made = await browser.newContext({
      colorScheme: options.colorScheme ?? "light",
      viewport: { width: options.width ?? 1440, height: 1000 },
    });
    made.setDefaultTimeout(15_000);
    made.on("weberror", (error) => complaints.push(String(error.error())));
    made.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    made.on(
      "request",
      (request) => new URL(request.url()).origin === run.url || complaints.push(request.url()),
    );
    return made;
  }

  /** A context that is signed in, in another theme or width. */
  async function signedIn(options: Parameters<typeof newContext>[0]): Promise<BrowserContext> {
    const made = await newContext(options);
    await made.addCookies(await context.cookies());
    return made;
  }

  async function ask(body: object, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await fetch(`${run.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${run.demoKey}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ messages: [{ role: "user", content: "hello" }], ...body }),
    });
    await response.arrayBuffer();
    return response.headers.get("x-trace-id") ?? "";
  }

  async function open(path: string, from: BrowserContext = context): Promise<Page> {
    const page = await from.newPage();
    await page.goto(`${run.url}${path}`);
    return page;
  }

  async function openList(from?: BrowserContext): Promise<Page> {
    const page = await open("/console/requests?tenant=demo", from);
    await page.locator("tbody tr").first().waitFor();
    return page;
  }

  async function openTrace(query: string, from?: BrowserContext): Promise<Page> {
    const page = await open(`/console/trace?${query}`, from);
    await page.locator(".rows .row").first().waitFor();
    return page;
  }

  it("leads from the printed link to a first answer, its sentence and its waterfall", async () => {
    const page = await open("/console/welcome");
    await page.evaluate((key) => sessionStorage.setItem("demo-key", key), run.demoKey);
    await page.reload();
    await page.getByRole("button", { name: "Send it" }).click();
    await page.locator(".rows .row").first().waitFor();
    expect(await page.getByLabel("The answer").textContent()).toContain("Hello from");
    expect(await page.locator(".why").textContent()).toMatch(/answered/);
    expect(await page.getByRole("row", { name: /storyteller/ }).count()).toBe(1);
    await page.close();
  });

  it("lists requests, filters them by the URL, and opens one by the keyboard alone", async () => {
    const page = await openList();
    const all = await page.locator("tbody tr").count();
    await page.keyboard.press("/");
    await page.keyboard.type("status=error");
    await page.keyboard.press("Enter");
    await page.waitForURL(/status=error/);
    await page.locator("tbody .state:not(.bad)").first().waitFor({ state: "detached" });
    expect(await page.locator("tbody tr").count()).toBeLessThan(all);
    expect(await page.locator("tbody tr .state.bad").count()).toBe(await page.locator("tbody tr").count());
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/console\/trace\?id=/);
    await page.locator(".rows .row").first().waitFor();
    expect(await page.locator(".why").textContent()).toContain("overloaded");
    await page.keyboard.press("Escape");
    await page.waitForURL(/\/console\/requests.*status=error/);
    await page.close();
  });

  it("says of a word that is no filter what filters there are", async () => {
    const page = await openList();
    await page.getByRole("textbox", { name: "Filter", exact: true }).fill("colour=red");
    expect(await page.locator("#filter-says").textContent()).toContain("colour=red");
    await page.getByRole("textbox", { name: "Filter", exact: true }).fill("model=nothing-like-it");
    await page.keyboard.press("Enter");
    await page.getByText("No stored request matches").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await page.locator("tbody tr").first().waitFor();
    await page.close();
  });

  it("walks a trace by keys, and a link opens the chosen step again", async () => {
    const id = await ask({ model: "demo", stream: true });
    const page = await openTrace(`id=${id}&tenant=demo`);
    const chosen = (of: Page): Promise<string | null> =>
      of.locator('.row[aria-selected="true"]').getAttribute("id");
    const first = await chosen(page);
    await page.keyboard.press("k");
    const second = await chosen(page);
    expect(second).not.toBe(first);
    await page.keyboard.press("c");
    await page.locator(".with-path .path").first().waitFor();
    expect(await page.locator(".with-path .path").count()).toBeGreaterThan(1);
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    const link = await openTrace(new URL(page.url()).search.slice(1));
    expect(await chosen(link)).toBe(second);
    await Promise.all([page.close(), link.close()]);
  });

  it("shows what others wrote as text, never as markup", async () => {
    const id = await ask(
      { model: "sim/echo" },
      { "x-headgate-metadata": JSON.stringify({ feature: HOSTILE }) },
    );
    const page = await openTrace(`id=${id}&tenant=demo`);
    expect(await page.locator(".figures").textContent()).toContain(HOSTILE);
    expect(await page.locator("img").count()).toBe(0);
    await page.close();
  });

  it("is closed without a session, says which token it wants, and comes back to the page", async () => {
    const stranger = await newContext();
    const page = await open("/console/requests?tenant=demo", stranger);
    await page.waitForURL(/\/console\/login\?back=/);
    const enter = async (token: string): Promise<void> => {
      await page.getByLabel("Admin token").fill(token);
      await page.getByRole("button", { name: "Sign in" }).click();
    };
    await enter(run.demoKey);
    await page.getByText("This is a gateway key").waitFor();
    await enter("not-the-token");
    await page.getByText("This token opens nothing here").waitFor();
    await enter(run.adminToken);
    await page.waitForURL(/\/console\/requests\?tenant=demo/);
    const [cookie] = await stranger.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/" });
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(/\/console\/login/);
    expect(await stranger.cookies()).toEqual([]);
    complaints.splice(0, complaints.length, ...complaints.filter((text) => !text.includes("401")));
    await stranger.close();
  });

  it("says what could not be read, and reads it at the next try", async () => {
    const page = await openList();
    await page.route("**/admin/traces**", (route) => route.abort());
    await page.keyboard.press("r");
    await page.getByText("The gateway did not answer").waitFor();
    await page.unroute("**/admin/traces**");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator("tbody tr").first().waitFor();
    expect(await page.getByText("The gateway did not answer").count()).toBe(0);
    complaints.splice(0, complaints.length, ...complaints.filter((text) => !text.includes("ERR_FAILED")));
    await page.close();
  });

  it("shows a request that waits while it waits, live, and the list's new rows when it has ended", async () => {
    const list = await openList();
    const queues = await open("/console/queues?tenant=demo");
    await queues.getByText("live", { exact: true }).waitFor();
    const before = await list.locator("tbody tr").count();
    const asked = Array.from({ length: 10 }, () => ask({ model: "sim/slow", max_tokens: 4 }));
    await queues.getByText(/^\d requests? waits?; 8 requests are under way/).waitFor();
    await list.getByText(/^In flight: 8 at work/).waitFor();
    expect(await queues.locator(".block.part-queue").count()).toBeGreaterThan(0);
    await Promise.all(asked);
    await queues.getByText(/none waits/).waitFor();
    await expect.poll(() => list.locator("tbody tr").count(), { timeout: 10_000 }).toBeGreaterThan(before);
    await Promise.all([list.close(), queues.close()]);
  });

  it("drains a queue after a question, and ends the drain", async () => {
    const page = await open("/console/queues?tenant=demo");
    await page.getByRole("button", { name: "Drain" }).click();
    await page.getByText(/New requests of demo get 429/).waitFor();
    await page.getByRole("group", { name: "Drain" }).getByRole("button", { name: "Drain" }).click();
    await page.getByText(/^Drained/).waitFor();
    const refused = await fetch(`${run.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${run.demoKey}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "sim/echo", messages: [{ role: "user", content: "drained" }] }),
    });
    expect(refused.status).toBe(429);
    await page.getByRole("button", { name: "End the drain" }).click();
    await page.getByText(/none waits/).waitFor();
    await page.close();
  });

  it("makes a key that is shown once and works, pauses it, and revokes it after a question", async () => {
    const page = await open("/console/keys?tenant=demo");
    await page.getByLabel("Name of the new key").fill("from the console");
    await page.getByRole("button", { name: "Create a key" }).click();
    const key = (await page.locator(".new-key").textContent()) ?? "";
    expect(key).toMatch(/^hg_/);
    // The key and its snippets are the longest words that a page has.
    await page.setViewportSize({ width: 360, height: 800 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    const models = (): Promise<Response> =>
      fetch(`${run.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    expect((await models()).status).toBe(200);
    await page.getByRole("button", { name: "I have it" }).click();
    expect(await page.getByText(key).count()).toBe(0);
    const row = page.getByRole("row", { name: /from the console/ });
    await row.getByRole("button", { name: "Pause" }).click();
    await row.getByText("paused").waitFor();
    await row.getByRole("button", { name: "Resume" }).click();
    await row.getByText("active").waitFor();
    await row.getByRole("button", { name: "Revoke" }).click();
    await row.getByRole("group", { name: "Revoke" }).getByRole("button", { name: "Revoke" }).click();
    await row.waitFor({ state: "detached" });
    await page.close();
  });

  it("says what became of the traces, and what was changed", async () => {
    const page = await open("/console/settings?tenant=demo");
    await page.getByRole("row", { name: /\(store\)/ }).waitFor();
    await page
      .getByRole("row", { name: /key\.create/ })
      .first()
      .waitFor();
    expect(await page.getByRole("row", { name: /tenant\.put/ }).count()).toBeGreaterThan(0);
    await page.close();
  });

  it.each(["light", "dark"] as const)(
    "has no violation that axe finds in the %s theme",
    async (colorScheme) => {
      const themed = await signedIn({ colorScheme });
      const id = await ask({ model: "demo", stream: true });
      const paths = [
        "/console/requests?tenant=demo",
        `/console/trace?id=${id}&tenant=demo`,
        "/console/welcome",
      ];
      for (const path of paths) {
        const page = await open(path, themed);
        await page.locator("h1, tbody tr").first().waitFor();
        await page.evaluate(axe.source);
        const { violations } = await page.evaluate<AxeResults>("axe.run()");
        expect(
          violations.map(({ id: rule, nodes }) => `${rule}: ${nodes[0]?.html}`),
          path,
        ).toEqual([]);
        await page.close();
      }
      await themed.close();
    },
  );

  it.each([320, 360, 820, 1240])("never scrolls sideways at a width of %d px", async (width) => {
    const narrow = await signedIn({ width });
    const id = await ask({ model: "demo", stream: true });
    const pages = [await openList(narrow), await openTrace(`id=${id}&tenant=demo`, narrow)];
    for (const name of ["queues", "keys", "settings"]) {
      const page = await open(`/console/${name}?tenant=demo`, narrow);
      await page.locator("h2, table").first().waitFor();
      pages.push(page);
    }
    for (const page of pages) {
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
    }
    await narrow.close();
  });

  it("sends at most 25 KB of script for a first screen", () => {
    const sizes = (["requests", "trace", "queues", "keys", "settings", "welcome", "login"] as const).map(
      (name) => {
        const seen = new Set<string>();
        const visit = (file: string): void => {
          if (seen.has(file)) return;
          seen.add(file);
          const text = readFileSync(join(CONSOLE_DIR, file), "utf8");
          for (const [, next = ""] of text.matchAll(/from"\.\/([^"]+)"|import"\.\/([^"]+)"/g))
            if (next !== "") visit(next);
        };
        for (const file of readdirSync(CONSOLE_DIR)) {
          if (file.startsWith(`${name}-page-`) || file.startsWith("theme-early-")) visit(file);
        }
        return [...seen].reduce(
          (sum, file) => sum + gzipSync(readFileSync(join(CONSOLE_DIR, file))).length,
          0,
        );
      },
    );
    for (const size of sizes) {
      expect(size).toBeGreaterThan(2_000);
      expect(size).toBeLessThanOrEqual(25 * 1024);
    }
  });

  it("complained of nothing, and called no other host", () => expect(complaints).toEqual([]));
});
