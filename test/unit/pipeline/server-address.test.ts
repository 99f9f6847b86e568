// Whom an attempt's span says was called: the host that the account's options lead to, also where the record names no address,
// and where an account's own API is called as it is.
import { expect, test } from "vitest";
import { proxy } from "../../../src/pipeline/operations/proxy.ts";
import { providerOf } from "../../../src/providers/registry.ts";
import type { FinishedSpan } from "../../../src/telemetry/trace/trace.ts";
import type { ProviderRecord } from "../../../src/tenants/records/records.ts";
import { createFakeGateway } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { type FakeReply, failure } from "../../support/fakes/fake-upstream.ts";

type Kind = ProviderRecord["kind"];
type Options = ProviderRecord["options"];

/** What comes back is no matter here: a 400 is not tried again. */
const REJECTION = failure(400);

const CLAUDE_ON_AWS = "anthropic.claude-sonnet-4-5-20250929-v1:0";

function gatewayAt(
  kind: Kind,
  options: Options,
  model = "m",
  baseUrl = providerOf(kind).defaultBaseUrl,
  reply: FakeReply = REJECTION,
) {
  return createFakeGateway({
    bundle: fakeBundle({
      providers: { far: { kind, options, native: "all", ...(baseUrl !== undefined && { baseUrl }) } },
    }),
    chat: { model: `far/${model}` },
    replies: [reply],
  });
}

const attemptsOf = (spans: readonly FinishedSpan[]): readonly FinishedSpan[] =>
  spans.filter(({ attributes }) => attributes["gateway.attempt.number"] !== undefined);

/** Host of the one call, as the network saw it and as the client span tells it. */
async function hostsOf(gateway: ReturnType<typeof gatewayAt>) {
  const { spans } = await gateway.finish();
  const [span] = attemptsOf(spans);
  const [call] = gateway.upstream.calls;
  return { called: new URL(call?.url ?? "").hostname, told: span?.attributes["server.address"] };
}

test.each<[Kind, Options, string, string, string?]>([
  ["bedrock", { region: "eu-west-1" }, CLAUDE_ON_AWS, "bedrock-runtime.eu-west-1.amazonaws.com"],
  ["bedrock", {}, CLAUDE_ON_AWS, "bedrock-runtime.us-east-1.amazonaws.com"],
  ["bedrock", { region: "eu-west-1" }, CLAUDE_ON_AWS, "vpce.test", "https://vpce.test"],
  ["vertex", { project: "p" }, "gemini-2.5-flash", "aiplatform.googleapis.com"],
  ["vertex", { project: "p", location: "us" }, "gemini-2.5-flash", "aiplatform.us.rep.googleapis.com"],
  ["vertex", { project: "p", location: "asia-east1" }, "claude-x", "asia-east1-aiplatform.googleapis.com"],
  ["azure-openai", {}, "gpt-4o", "res.openai.azure.com", "https://res.openai.azure.com"],
  ["workers-ai", { accountId: "a" }, "@cf/meta/llama", "api.cloudflare.com"],
  ["cohere", {}, "command-a", "api.cohere.com"],
])("%s with %j: %s is at %s", async (kind, options, model, host, baseUrl) => {
  const gateway = gatewayAt(kind, options, model, baseUrl);
  await gateway.refusal();
  expect(await hostsOf(gateway)).toEqual({ called: host, told: host });
});

test("a location that is none reaches no host name", async () => {
  const gateway = gatewayAt("vertex", { project: "p", location: "evil.test/" }, "gemini-2.5-flash");
  await gateway.refusal();
  const { spans } = await gateway.finish();
  const told = new Set(attemptsOf(spans).map(({ attributes }) => attributes["server.address"]));
  expect([...told]).toEqual(["aiplatform.googleapis.com"]);
  expect(gateway.upstream.calls).toEqual([]);
});

test.each<[Kind, Options, string]>([
  ["bedrock", { region: "eu-west-1" }, "bedrock-runtime.eu-west-1.amazonaws.com"],
  ["vertex", { location: "asia-east1" }, "asia-east1-aiplatform.googleapis.com"],
])("%s called as it is goes to the same host", async (kind, options, host) => {
  const gateway = gatewayAt(kind, options, "m", undefined, new Response(null, { status: 204 }));
  const ask = {
    accountName: "far",
    method: "POST",
    path: "/v1/any",
    search: "",
    payload: "{}",
    readText: async () => "{}",
  };
  await proxy({ ...gateway.call, chat: { ...gateway.call.chat, operation: "proxy" } }, ask, gateway.deps);
  expect(await hostsOf(gateway)).toEqual({ called: host, told: host });
});
