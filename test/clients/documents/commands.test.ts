/**
 * The commands of README.md and src/docs/, run as they are written against a gateway that `npm start` has started. A shell
 * block is left out only where a comment before it says why; any HTTP error or failing command fails its page. TypeScript
 * blocks that import something are run too.
 */

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const ADMIN_TOKEN = "documents-test-admin-token";
const KEY_IN_URL = "hg_KeyThatGoogleClientsMayPutIntoTheirUrls";
/** A first start compiles the Worker. */
const START_TIMEOUT_MS = 120_000;
const PAGES = [
  "README.md",
  ...readdirSync(join(ROOT, "src/docs"))
    .filter((name) => name.endsWith(".md"))
    .toSorted()
    .map((name) => `src/docs/${name}`),
];

interface ShellBlock {
  readonly text: string;
  /** Why it is not run; undefined where it is. */
  readonly skipped: string | undefined;
}

/** The ```sh blocks of a page, in order. */
function shellBlocks(markdown: string): readonly ShellBlock[] {
  const blocks = /(?:<!-- not run: ([^>]+) -->\n)?^```sh\n([\s\S]*?)^```$/gm;
  return [...markdown.matchAll(blocks)].map(([, skipped, text = ""]) => ({ text, skipped }));
}

/** The ```ts blocks that are whole programs. */
function programsIn(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^```ts\n([\s\S]*?)^```$/gm)]
    .map(([, text = ""]) => text)
    .filter((text) => /^import /m.test(text));
}

const read = (page: string): string => readFileSync(join(ROOT, page), "utf8");
const runnable = (page: string): readonly ShellBlock[] =>
  shellBlocks(read(page)).filter(({ skipped }) => skipped === undefined);

describe("the documents' commands", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "headgate-documents-"));
  let gateway: ChildProcess;
  let url = "";
  let demoKey = "";

  beforeAll(async () => {
    const port = await freePort();
    url = `http://localhost:${port}`;
    gateway = spawn("npm", ["start", "--", "--persist-to", stateDir], {
      cwd: ROOT,
      env: { ...process.env, PORT: String(port), ADMIN_TOKEN, OTLP_ENDPOINT: "" },
      detached: true,
    });
    demoKey = await demoKeyOf(gateway);
    // Looked for on the disk when all commands have run.
    await fetch(`${url}/v1beta/models?key=${KEY_IN_URL}`);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    const ended = new Promise((resolve) => gateway.once("exit", resolve));
    // The whole group: npm, the start script, wrangler and workerd.
    if (gateway.pid !== undefined) process.kill(-gateway.pid, "SIGTERM");
    await ended;
    rmSync(stateDir, { recursive: true, force: true });
  });

  it.each(PAGES.filter((page) => runnable(page).length > 0))(
    "work as written in %s",
    async (page) => {
      const script = runnable(page)
        .map(({ text }) => text.replaceAll("http://localhost:8787", url))
        .join("\n");
      const { code, output } = await runBash(script, variables());
      expect(code, output).toBe(0);
    },
    120_000,
  );

  it("and their TypeScript works as written", async () => {
    const programs = PAGES.flatMap((page) => programsIn(read(page)));
    expect(programs.length).toBeGreaterThan(0);
    for (const program of programs) {
      const text = program.replaceAll("http://localhost:8787", url);
      const { code, output } = await run(
        "node",
        ["--input-type=module-typescript", "--eval", text],
        variables(),
      );
      expect(code, output).toBe(0);
    }
  });

  it("leave a key that came in a URL in no file", () => {
    const files = readdirSync(stateDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));
    expect(files.length).toBeGreaterThan(5);
    const holding = (text: string) => files.filter((file) => readFileSync(file).includes(text));
    expect(holding(KEY_IN_URL)).toEqual([]);
    expect(holding(demoKey)).toEqual([join(stateDir, "headgate/demo-key")]);
  });

  it.each(["/cdn-cgi/local/explorer", "/cdn-cgi/explorer/api/storage/kv/namespaces"])(
    "need a token: %s of the platform shows no storage",
    async (path) => {
      expect((await fetch(url + path)).status).toBe(404);
    },
  );

  function variables(): Readonly<Record<string, string>> {
    return {
      ADMIN_TOKEN,
      HEADGATE_KEY: demoKey,
      OPENAI_API_KEY: "sk-documents-test",
      ANTHROPIC_API_KEY: "sk-ant-documents-test",
    };
  }
});

it("leave a block out only for a known reason", () => {
  const skipped = PAGES.flatMap((page) =>
    shellBlocks(read(page)).flatMap((block) => (block.skipped === undefined ? [] : [block.skipped])),
  );
  expect(new Set(skipped)).toEqual(
    new Set([
      "the test has started it",
      "the test sets them",
      "needs a vendor's key",
      "needs an account",
      "needs a Cloudflare account",
      "needs a deployment",
      "calls Grafana",
      "starts the agent",
      "starts the gateway, and all tests",
      "the addresses are those of a deployment",
    ]),
  );
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Waits for the start script's banner. */
function demoKeyOf(gateway: ChildProcess): Promise<string> {
  let output = "";
  return new Promise((resolve, reject) => {
    const note = (chunk: unknown): void => {
      output += String(chunk);
      const key = /demo key +(hg_\w+)/.exec(output)?.[1];
      if (key !== undefined && output.includes("Stop with Ctrl-C")) resolve(key);
    };
    gateway.stdout?.on("data", note);
    gateway.stderr?.on("data", note);
    gateway.once("exit", (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
  });
}

/** In one shell, as a reader does. `curl` fails on an HTTP error here, which a reader sees with their own eyes. */
function runBash(script: string, variables: Readonly<Record<string, string>>): Promise<Ended> {
  const text = `set -euo pipefail\ncurl() { command curl --fail-with-body --silent --show-error "$@"; }\n${script}`;
  return run("bash", ["-x", "-c", text], variables);
}

interface Ended {
  readonly code: number;
  readonly output: string;
}

function run(
  command: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...process.env, ...variables } };
    execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, output: `${stdout}\n${stderr}` });
    });
  });
}
