// The command line as a user runs it: a process of its own for each command, against running gateways.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { VERSION } from "../../../src/version.ts";
import { TEST_VARS } from "../../support/clients/admin-client.ts";
import { post } from "../../support/clients/chat-client.ts";
import { type Gateway, startGateway } from "../../support/servers/gateway-process.ts";
import { type GatewayStack, startGatewayStack } from "../../support/servers/gateway-stack.ts";

const ROOT = join(import.meta.dirname, "../../..");
const COMMAND = join(ROOT, "src/cli/headgate.ts");
const IMPORTS = join(ROOT, "test/fixtures/imports");
const CREDENTIALS = {
  OPENAI_API_KEY: "sk-openai-of-the-environment",
  ...Object.fromEntries(
    ["AZURE", "GROQ", "DEEPSEEK", "MISTRAL", "TOGETHER", "GROQ_PROD"].map((name) => [
      `${name}_API_KEY`,
      `sk-${name.toLowerCase()}-of-the-environment`,
    ]),
  ),
};

/** A test starts up to eight processes, beside those of other files. */
vi.setConfig({ testTimeout: 90_000 });

let stack: GatewayStack;
/** Has nothing at first. */
let empty: Gateway;
const dir = mkdtempSync(join(tmpdir(), "headgate-command-line-"));
beforeAll(async () => {
  [stack, empty] = await Promise.all([startGatewayStack(), startGateway()]);
});
afterAll(async () => {
  await Promise.all([stack.close(), empty.stop()]);
  rmSync(dir, { recursive: true, force: true });
});

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly notes: string;
}

function headgate(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...args], { cwd: dir, env: environment(env) }, (error, out, notes) =>
      resolve({ status: Number(error?.code ?? 0), out, notes }),
    );
  });
}

const environment = (env: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  HEADGATE_URL: stack.gateway.url,
  HEADGATE_TOKEN: TEST_VARS["ADMIN_TOKEN"],
  ...CREDENTIALS,
  ...env,
});

/** Writes a file into the test's folder; `UPSTREAM` in it is the scripted upstream. */
function file(name: string, text: string): string {
  writeFileSync(join(dir, name), text.replaceAll("UPSTREAM", stack.upstream.url));
  return name;
}

const configOf = (tenant: string, model = "gpt-4o-mini"): string =>
  `
tenants:
  ${tenant}:
    name: A tenant in a file
    limits: { requestsPerMinute: 600 }
    tracing:
      destinations: [{ name: own, endpoint: "${stack.otlp.url}", headers: { x-token: "\${OTLP_TOKEN:-}" } }]
    providers:
      openai: { kind: openai, baseUrl: UPSTREAM/v1, apiKey: "\${OPENAI_API_KEY}", headers: { X-Team: team-of-this-tenant } }
    routes:
      chat: { targets: [{ provider: openai, model: ${model} }] }
    keys:
      web app: { allowedModels: [chat], metadata: { team: search } }
`.replace(', headers: { x-token: "${OTLP_TOKEN:-}" }', "");

describe("apply, diff and export", () => {
  it("make the gateway as the file says, once, and the new key answers", async () => {
    const name = file("apply.yaml", configOf("applied"));
    const planned = await headgate(["apply", name, "--dry-run"]);
    expect(planned.out).toContain("+ route applied/chat");
    expect(planned.notes).toContain("4 to create");
    expect((await stack.gateway.admin("GET", "/admin/tenants/applied")).status).toBe(404);

    const first = await headgate(["apply", name]);
    expect(first).toMatchObject({ status: 0, notes: "Done: 4 changed.\n" });
    const key = /hg_\w+/.exec(first.out)?.[0] ?? "";
    const answer = await post(stack.gateway.url, key, { model: "chat" });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();

    expect(await headgate(["apply", name])).toMatchObject({ status: 0, out: "" });
    expect(await headgate(["diff", name])).toMatchObject({ status: 0, out: "" });
    expect(first.out).not.toContain(CREDENTIALS.OPENAI_API_KEY);
  });

  it("show what differs with status 1, and delete only with --prune", async () => {
    const name = file("diff.yaml", configOf("differing"));
    await headgate(["apply", name]);
    file("diff.yaml", configOf("differing", "gpt-5").replace("chat: {", "chat-2: {"));
    const different = await headgate(["diff", name, "--prune"]);
    expect(different.status).toBe(1);
    expect(different.out).toBe("+ route differing/chat-2\n- route differing/chat\n");
    expect((await headgate(["apply", name])).out).toBe("+ route differing/chat-2\n");
    expect((await headgate(["apply", name, "--prune"])).out).toBe("- route differing/chat\n");
    expect((await headgate(["diff", name, "--prune"])).status).toBe(0);
  });

  it("give an empty gateway the same records by export and apply", async () => {
    await headgate(["apply", file("export.yaml", configOf("exported"))]);
    const exported = await headgate(["export", "exported"]);
    expect(exported.notes).toContain("EXPORTED_OPENAI_API_KEY");
    file("exported.yaml", exported.out);
    const there = {
      HEADGATE_URL: empty.url,
      EXPORTED_OPENAI_API_KEY: CREDENTIALS.OPENAI_API_KEY,
      EXPORTED_OPENAI_X_TEAM: "team-of-this-tenant",
    };
    expect((await headgate(["apply", "exported.yaml"], there)).status).toBe(0);
    expect((await headgate(["export", "exported"], there)).out).toBe(exported.out);
    for (const path of ["", "/providers/openai", "/routes/chat"]) {
      const [ours, theirs] = await Promise.all(
        [stack.gateway, empty].map(async (gateway) => {
          const response = await gateway.admin("GET", `/admin/tenants/exported${path}`);
          const { etag: _, ...record } = Object(await response.json()) as Record<string, unknown>;
          return record;
        }),
      );
      expect(theirs).toEqual(ours);
    }
  });

  it("say what is wrong, change nothing, and end with status 2", async () => {
    const name = file("wrong.yaml", configOf("wrong").replace("${OPENAI_API_KEY}", "${NOT_SET}"));
    expect(await headgate(["apply", name])).toEqual({
      status: 2,
      out: "",
      notes: "The file names variables that are not set: NOT_SET.\n",
    });
    file("wrong.yaml", configOf("wrong").replace("limits:", "limts:"));
    expect((await headgate(["apply", name])).notes).toContain(
      "tenants.wrong: has fields that are not known: limts",
    );
    expect((await stack.gateway.admin("GET", "/admin/tenants/wrong")).status).toBe(404);
    const noToken = await headgate(["diff", file("right.yaml", configOf("right"))], { HEADGATE_TOKEN: "no" });
    expect(noToken).toMatchObject({ status: 2 });
    expect(noToken.notes).toContain("refused the admin token");
    const nowhere = await headgate(["export"], { HEADGATE_URL: "http://127.0.0.1:9" });
    expect(nowhere.notes).toMatch(
      /^http:\/\/127\.0\.0\.1:9 can't be reached: .+ Is the gateway running there\?\n$/,
    );
    // What the gateway itself refuses is said in its words.
    const refused = await headgate([
      "apply",
      file("kind.yaml", configOf("kind").replace("kind: openai", "kind: opnai")),
    ]);
    expect(refused).toMatchObject({ status: 2 });
    expect(refused.notes).toContain("kind: is unknown");
  });
});

describe("import", () => {
  it("turns a LiteLLM configuration of ten model groups into routes that all answer", async () => {
    file("litellm.yaml", readFileSync(join(IMPORTS, "litellm.yaml"), "utf8"));
    const imported = await headgate(["import", "litellm", "litellm.yaml", "--tenant", "from-litellm"]);
    expect(imported.status).toBe(0);
    for (const part of ["general_settings", "success_callback", "rpm", "drop_params", '"openai/*"'])
      expect(imported.notes).toContain(part);
    file("imported.yaml", `${imported.out}    keys: { all: {} }\n`);
    const applied = await headgate(["apply", "imported.yaml"]);
    expect(applied).toMatchObject({ status: 0 });
    const key = /hg_\w+/.exec(applied.out)?.[0] ?? "";
    const routes = Object.keys(
      Object.fromEntries(
        [...applied.out.matchAll(/^\+ route from-litellm\/(.+)$/gm)].map(([, name]) => [name, 1]),
      ),
    );
    expect(routes).toHaveLength(10);
    for (const model of routes) {
      const answer = await post(stack.gateway.url, key, { model });
      expect([model, answer.status, await answer.json()]).toMatchObject([
        model,
        200,
        { object: "chat.completion" },
      ]);
    }
    expect(stack.upstream.requestsFor("own-model")[0]?.headers["authorization"]).toBe(
      "Bearer sk-in-the-file",
    );
    expect(stack.upstream.requestsFor("qwen3-32b")[0]?.body).toContain('"temperature":0.2');
  });

  it("turns a Portkey config into a route that answers", async () => {
    file("portkey.json", readFileSync(join(IMPORTS, "portkey.json"), "utf8"));
    const imported = await headgate(["import", "portkey", "portkey.json", "--tenant", "from-portkey"]);
    expect(imported.notes).toContain("input_guardrails");
    expect(imported.notes).toContain("Its kind is taken to be groq.");
    file("imported.yaml", `${imported.out}    keys: { all: {} }\n`);
    const applied = await headgate(["apply", "imported.yaml"]);
    const key = /hg_\w+/.exec(applied.out)?.[0] ?? "";
    const answer = await post(stack.gateway.url, key, { model: "main" });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
  });

  it("names what it takes where the source is not known", async () => {
    expect((await headgate(["import", "kong", "x"])).notes).toContain("litellm or portkey");
  });
});

describe("keys", () => {
  it("are made, listed, given a new secret and revoked", async () => {
    await headgate(["apply", file("keys.yaml", configOf("keyed"))]);
    const made = await headgate(["keys", "keyed", "create", "batch jobs"]);
    const [id = ""] = /key_\w+/.exec(made.out) ?? [];
    const [key = ""] = /hg_\w+/.exec(made.out) ?? [];
    expect((await headgate(["keys", "keyed"])).out).toMatch(new RegExp(`${id} +batch jobs +active`));
    const rotated = await headgate(["keys", "keyed", "rotate", id, "--overlap", "60"]);
    expect(/hg_\w+/.exec(rotated.out)?.[0]).not.toBe(key);
    expect((await headgate(["keys", "keyed", "revoke", id])).out).toContain("is revoked");
    expect((await headgate(["keys", "keyed"])).out).not.toContain(id);
  });
});

describe("traces, tail, trace and doctor", () => {
  it("show a request as it comes, in the list and as a drawing", async () => {
    const applied = await headgate(["apply", file("traces.yaml", configOf("traced"))]);
    const key = /hg_\w+/.exec(applied.out)?.[0] ?? "";
    const tail = spawn(process.execPath, [COMMAND, "tail", "--tenant", "traced"], { env: environment({}) });
    const printed = new Promise<string>((resolve, reject) => {
      tail.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
      tail.once("exit", () => reject(new Error("tail ended")));
    });
    await new Promise((resolve) => tail.stderr.once("data", resolve));
    const answer = await post(stack.gateway.url, key, { model: "chat" });
    await answer.arrayBuffer();
    const id = answer.headers.get("x-trace-id") ?? "";
    expect(await printed).toContain(id);
    tail.kill();
    const { out } = await headgate(["traces", "--tenant", "traced", "--since", "1h", "--limit", "5"]);
    expect(out).toMatch(new RegExp(`${id} +traced +\\S+ +200 +ok`));
    expect((await headgate(["traces", "--tenant", "traced", "--json"])).out).toContain(`"traceId":"${id}"`);
    const used = await headgate(["usage", "traced", "--by", "model", "--from", "1h"]);
    expect(used.out).toMatch(/^MODEL +REQUESTS.*\ngpt-4o-mini +1 +0 .*\ntotal +1 +0 /);
    expect((await headgate(["usage", "traced", "--csv"])).out).toMatch(/^start,model,requests/);
    const drawn = await headgate(["trace", id, "--width", "100"]);
    expect(drawn.out).toContain("chat");
    expect(drawn.status).toBe(0);
    expect((await headgate(["explain", id])).out).toContain("Too few requests of this route");
    expect(await headgate(["trace", "0".repeat(32)])).toMatchObject({ status: 2 });
  });

  it("find a route without its provider, and say what to do", async () => {
    await headgate(["apply", file("doctor.yaml", configOf("ill"))]);
    expect(await headgate(["doctor", "ill", "--send-spans"])).toMatchObject({ status: 0 });
    expect((await headgate(["doctor", "ill"])).out).toContain(`${stack.gateway.url}, version ${VERSION}`);
    await stack.gateway.admin("DELETE", "/admin/tenants/ill/providers/openai?force=1");
    const found = await headgate(["doctor", "ill"]);
    expect(found.status).toBe(1);
    expect(found.out).toContain("FAULT   ill: route chat names the provider openai, which does not exist");
    const refused = await headgate(["doctor"], { HEADGATE_TOKEN: "no" });
    expect(refused.out).toContain("the admin token is not accepted");
  });
});

describe("headgate itself", () => {
  it("has help, a version, and complaints about what it doesn't know", async () => {
    expect((await headgate(["--help"])).out).toContain("apply FILE");
    expect((await headgate(["--version"])).out).toBe(`${VERSION}\n`);
    expect((await headgate(["apply", "--help"])).out).toContain("--dry-run");
    expect(await headgate(["aply"])).toMatchObject({ status: 2 });
    const unknown = await headgate(["traces", "--sincee", "1h"]);
    expect(unknown.status).toBe(2);
    expect(unknown.notes).toContain("--since WHEN");
    expect(JSON.parse((await headgate(["schema"])).out)).toHaveProperty("properties.tenants");
  });
});
