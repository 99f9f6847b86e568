// Content that a tenant wants masked is masked wherever it stands: e-mail addresses, card numbers and keys are planted in every place
// of every dialect, whole and streamed, and a place that may have everything gets everything.
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  canaryRequests,
  claudeReply,
  createCanaries,
  geminiReply,
  openAiReply,
} from "../../support/builders/canary-requests.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { startScriptedGemini, type ScriptedGemini } from "../../support/servers/scripted-gemini.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";

const SECRETS = ["ada.lovelace@engine.example", "4111 1111 1111 1111", "sk-proj-0123456789abcdefghijklmnop"];
const MASKS = ["[email]", "[card]", "[secret]"];
const FATES = ["answered", "called"] as const;
const PROVIDERS = ["up", "claude", "gem"] as const;
/** Where what is said is content; the rest is in no mode recorded. */
const SHOWN = [
  "system",
  "prompt",
  "tool-definition",
  "schema",
  "tool-arguments",
  "tool-result",
  "answer",
  "answer-arguments",
];
const HIDDEN = ["user", "stop", "query"];
const canaries = createCanaries((place) => `said-in-${place} ${SECRETS.join(" ")}`);

let stack: GatewayStack;
let google: ScriptedGemini;
let masked: OtlpReceiver;
let whole: OtlpReceiver;
beforeAll(async () => {
  [stack, google, masked, whole] = await Promise.all([
    startGatewayStack(),
    startScriptedGemini(),
    startOtlpReceiver({ gets: ["content"] }),
    startOtlpReceiver({ gets: ["content"] }),
  ]);
  for (const fate of FATES) {
    stack.upstream.script(fate, (request) =>
      (request.path.endsWith("/messages") ? claudeReply : openAiReply)(canaries, fate, "", request),
    );
    google.script(fate, geminiReply(canaries, fate, ""));
  }
});
afterAll(() => Promise.all([stack, google, masked, whole].map((server) => server.close())));

async function tenantOf(
  content: string,
  receivers: Readonly<Record<string, OtlpReceiver>>,
): Promise<TestTenant> {
  const destinations = Object.entries(receivers).map(([name, { url }]) => ({
    name,
    endpoint: url,
    content: name,
  }));
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    record: { tracing: { content, destinations } },
  });
  for (const [name, kind, baseUrl] of [
    ["claude", "anthropic", stack.upstream.url],
    ["gem", "gemini", google.url],
  ])
    await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/${name}`, {
      kind,
      baseUrl,
      apiKey: "k",
    });
  return tenant;
}

/** Asks in each dialect for each provider, and waits for the traces at those places. */
async function askAll({ key }: TestTenant, receivers: readonly OtlpReceiver[]): Promise<readonly string[]> {
  const asks = [false, true].flatMap((stream) =>
    PROVIDERS.flatMap((provider) =>
      FATES.flatMap((fate) => canaryRequests(canaries, `${provider}/${fate}`, stream)),
    ),
  );
  return Promise.all(
    asks.map(async ({ path, body }) => {
      const response = await fetch(stack.gateway.url + path, {
        method: "POST",
        headers: {
          authorization: `Bearer ${key}`,
          "content-type": "application/json",
          "x-headgate-lenient": "1",
        },
        body: JSON.stringify(body),
      });
      await response.text();
      expect([response.status, path, body]).toEqual([200, path, body]);
      const traceId = response.headers.get("x-trace-id") ?? "";
      await Promise.all(receivers.map((receiver) => receiver.waitForTrace(traceId)));
      return traceId;
    }),
  );
}

async function storedText(traceIds: readonly string[]): Promise<string> {
  const answers = traceIds.map((traceId) => stack.gateway.admin("GET", `/admin/traces/${traceId}`));
  return (await Promise.all(answers.map(async (answer) => (await answer).text()))).join("\n");
}

test("a place that gets masked content finds no address, card or key in it; one that gets all finds all", async () => {
  const tenant = await tenantOf("full", { redacted: masked, full: whole });
  await askAll(tenant, [masked, whole]);
  for (const secret of SECRETS) {
    expect(masked.allText()).not.toContain(secret);
    expect(whole.allText()).toContain(secret);
  }
  for (const mask of MASKS) expect(masked.allText()).toContain(mask);
  for (const receiver of [masked, whole]) {
    for (const place of SHOWN) expect(receiver.allText(), place).toContain(`said-in-${place}`);
    for (const place of HIDDEN) expect(receiver.allText(), place).not.toContain(`said-in-${place}`);
  }
});

test("a tenant that masks keeps nothing else, and sends nothing else to a place that asks for all", async () => {
  whole.clear();
  const tenant = await tenantOf("redacted", { full: whole });
  const stored = await storedText(await askAll(tenant, [whole]));
  for (const text of [stored, whole.allText()]) {
    for (const secret of SECRETS) expect(text).not.toContain(secret);
    for (const place of SHOWN) expect(text, place).toContain(`said-in-${place}`);
  }
  for (const text of [stack.otlp.allText(), stack.gateway.logs()])
    for (const said of [...SECRETS, "said-in-"]) expect(text).not.toContain(said);
});
