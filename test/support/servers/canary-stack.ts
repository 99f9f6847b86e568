// The real gateway with everything around it that a secret could leak to: two receivers of traces, upstreams that quote what they
// get, and a tenant with a route for each upstream and fate. Which requests are sent, and what must not be found, is the test's business.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Canaries, claudeReply, FATES, geminiReply, openAiReply } from "../builders/canary-requests.ts";
import { makeTenant, type TestTenant } from "../clients/test-tenant.ts";
import { startGateway, type Gateway } from "./gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "./otlp-receiver.ts";
import { startScriptedGemini, type ScriptedGemini } from "./scripted-gemini.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "./scripted-upstream.ts";

/** The tenant's accounts: OpenAI's wire, Anthropic's, Gemini's. Each has a route `account-fate` for each fate. */
export const CANARY_ACCOUNTS = ["up", "claude", "gem"] as const;

export interface CanaryStack {
  readonly gateway: Gateway;
  /** The operator's traces. */
  readonly operator: OtlpReceiver;
  /** The tenant's own traces. */
  readonly own: OtlpReceiver;
  readonly upstream: ScriptedUpstream;
  readonly tenant: TestTenant;
  readonly adminToken: string;
  admin(method: string, path: string, body?: unknown): Promise<Response>;
  /** Every stored byte: KV, and the objects' SQLite with what it has not yet written. Complete once the gateway has stopped. */
  stateOnDisk(): string;
  close(): Promise<void>;
}

export interface CanaryOptions {
  readonly vars?: Readonly<Record<string, string>>;
  /** Of each route; the default has one attempt, and the gateway's own time limits. */
  readonly timeouts?: { readonly totalMs: number };
}

/** Each credential is a canary: `admin-token`, `destination-header`, `claude-key`, `gemini-key`, `provider-header`. */
export async function startCanaryStack(
  canaries: Canaries,
  { vars = {}, timeouts }: CanaryOptions = {},
): Promise<CanaryStack> {
  const { say } = canaries;
  const stateDir = mkdtempSync(join(tmpdir(), "headgate-canaries-"));
  const [operator, own, upstream, google] = await Promise.all([
    startOtlpReceiver(),
    startOtlpReceiver(),
    startScriptedUpstream(),
    startScriptedGemini(),
  ]);
  scriptFates(canaries, upstream, google);
  const adminToken = say("admin-token");
  const gateway = await startGateway({
    persistTo: stateDir,
    vars: { ADMIN_TOKEN: adminToken, OTLP_ENDPOINT: operator.url, ...vars },
  });
  const admin = (method: string, path: string, body?: unknown): Promise<Response> =>
    fetch(gateway.url + path, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const destination = {
    name: "own",
    endpoint: own.url,
    headers: { authorization: say("destination-header") },
  };
  const tenant = await makeTenant(
    { admin },
    {
      upstreamUrl: upstream.url,
      record: { tracing: { destinations: [destination] } },
      routes: routesOf(timeouts),
    },
  );
  const accounts = {
    claude: { kind: "anthropic", baseUrl: upstream.url, apiKey: say("claude-key") },
    gem: {
      kind: "gemini",
      baseUrl: google.url,
      apiKey: say("gemini-key"),
      headers: { "x-team": say("provider-header") },
    },
  };
  for (const [name, record] of Object.entries(accounts)) {
    const written = await admin("PUT", `/admin/tenants/${tenant.id}/providers/${name}`, record);
    if (written.status !== 201) throw new Error(`${name}: ${written.status} ${await written.text()}`);
  }
  return {
    gateway,
    operator,
    own,
    upstream,
    tenant,
    adminToken,
    admin,
    stateOnDisk: () => textOfFiles(stateDir),
    close: async () => {
      await gateway.stop();
      await Promise.all([operator, own, upstream, google].map((server) => server.close()));
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** Each model is a fate; refusals quote the whole request, credential included. */
function scriptFates(canaries: Canaries, upstream: ScriptedUpstream, google: ScriptedGemini): void {
  const { say } = canaries;
  for (const fate of FATES) {
    upstream.script(fate, (request) => {
      const { path, headers, body } = request;
      const quoted = `${headers.authorization ?? String(headers["x-api-key"])} ${body}`;
      if (path.endsWith("/messages")) return claudeReply(canaries, fate, quoted, request);
      return openAiReply(canaries, fate, quoted, request);
    });
    google.script(fate, geminiReply(canaries, fate, `${say("gemini-key")} ${say("prompt")}`));
  }
}

/** One attempt each: a target that is made to fail is not called twice. */
function routesOf(timeouts: CanaryOptions["timeouts"]): Readonly<Record<string, object>> {
  const rules = { retries: { maxAttempts: 1 }, ...(timeouts !== undefined && { timeouts }) };
  return Object.fromEntries(
    CANARY_ACCOUNTS.flatMap((provider) =>
      FATES.map((fate) => [`${provider}-${fate}`, { targets: [{ provider, model: fate }], ...rules }]),
    ),
  );
}

function textOfFiles(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString("latin1"))
    .join("\n");
}
