// Requests that are answered as they should be, on each of the gateway's surfaces. Played by scenarios.test.ts.
import { expect } from "vitest";
import { post as send, read, spanOf } from "../../support/clients/chat-client.ts";
import { startGateway } from "../../support/servers/gateway-process.ts";
import { startScriptedUpstream } from "../../support/servers/scripted-upstream.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { CHAT, ENTRY, HELLO, PASSED, SETTLED, post, targets, type Scenario } from "./scenario.ts";

const MESSAGE = { max_tokens: 64, messages: HELLO } as const;
const ANTHROPIC = { "anthropic-version": "2023-06-01" };

export const ANSWERED: readonly Scenario[] = [
  {
    name: "answered",
    done: "A model answers, not streamed.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const model = context.model("m", {
        kind: "answer",
        headers: { "x-request-id": "req_of_the_upstream" },
      });
      const { headers, traceId } = await context.ask(await context.tenant(), { model: `up/${model}` });
      const spans = await context.spansOf({ traceId });
      const root = spanOf(spans, CHAT);
      expect(headers.get("traceresponse")).toBe(`00-${traceId}-${root.spanId}-01`);
      expect(root.attributes).toMatchObject({
        "gateway.request.id": headers.get("x-request-id"),
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
      });
      expect(spanOf(spans, "gateway.auth").attributes["gateway.auth.source"]).toMatch(
        /^(memory|kv|directory)$/,
      );
      expect(spanOf(spans, "gateway.config.load").attributes).toMatchObject({
        "gateway.config.source": expect.stringMatching(/^(memory|kv|directory)$/),
        "gateway.config.age_ms": expect.any(Number),
        "gateway.config.version": expect.any(Number),
      });
      expect(spanOf(spans, `chat ${model}`).attributes).toMatchObject({
        "gateway.upstream.request_id": "req_of_the_upstream",
        "server.address": "127.0.0.1",
        "server.port": Number(new URL(context.stack.upstream.url).port),
      });
      return spans;
    },
  },
  {
    name: "streamed",
    done: "A model answers with a stream.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok +stream.first_chunk", ...SETTLED],
    async play(context) {
      const model = context.model("m", { kind: "answer", text: "one two three" });
      const spans = await context.trace(await context.tenant(), { model: `up/${model}`, stream: true });
      const [chunk] = spans.flatMap(({ events }) => events);
      const root = spans.find(({ name }) => name === CHAT);
      expect(BigInt(chunk?.timeUnixNano ?? 0)).toBeGreaterThanOrEqual(BigInt(root?.startTimeUnixNano ?? 0));
      expect(root?.attributes).toMatchObject({ "gateway.stream": true, "gateway.stream.chunks": 6 });
      return spans;
    },
  },
  {
    name: "streamed, usage not told",
    done: "A stream ends as it should, but its upstream doesn't say what it has billed.",
    tree: [
      `${CHAT} ok 200`,
      ...PASSED,
      "  chat m 200 ok usage=estimate +stream.first_chunk",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    async play(context) {
      const model = context.model("m", { kind: "answer", text: "one two three", usageChunk: "never" });
      const spans = await context.trace(await context.tenant(), { model: `up/${model}`, stream: true });
      expect(spanOf(spans, CHAT).attributes["gateway.usage.source"]).toBe("estimate");
      return spans;
    },
  },
  {
    name: "streamed with a pause",
    done: "The upstream sends nothing for two seconds in the middle of its stream, and goes on.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok +stream.first_chunk +stream.stall", ...SETTLED],
    async play(context) {
      const model = context.model("m", { kind: "answer", text: "one two", paceMs: 2300 });
      const spans = await context.trace(await context.tenant(), { model: `up/${model}`, stream: true });
      const [first, stall] = spans.flatMap(({ events }) => events);
      const gapMs = Number(stall?.attributes["gateway.stream.max_gap_ms"]);
      expect(gapMs).toBeGreaterThanOrEqual(2000);
      // It begins where the bytes end, to the grain of the side reader.
      expect(Number(BigInt(stall?.timeUnixNano ?? 0) - BigInt(first?.timeUnixNano ?? 0)) / 1e6).toBeLessThan(
        600,
      );
      return spans;
    },
  },
  {
    name: "translated",
    done: "An Anthropic client is answered by a model that speaks the OpenAI chat wire.",
    tree: [
      "POST /v1/messages ok 200",
      ...PASSED,
      "  chat m 200 ok",
      "  response.format client=anthropic-messages upstream=openai-chat",
      ...SETTLED,
    ],
    async play(context) {
      const { key } = await context.tenant();
      const model = `up/${context.model("m")}`;
      const sent = await context.send("/v1/messages", { key, ...post({ model, ...MESSAGE }, ANTHROPIC) });
      expect(JSON.parse(sent.text)).toMatchObject({ type: "message" });
      return context.spansOf(sent);
    },
  },
  {
    name: "translated stream",
    done: "The same, streamed: the translation lasts as long as the stream.",
    tree: [
      "POST /v1/messages ok 200",
      ...PASSED,
      "  chat m 200 ok +stream.first_chunk",
      "  response.format client=anthropic-messages upstream=openai-chat",
      ...SETTLED,
    ],
    async play(context) {
      const { key } = await context.tenant();
      const model = `up/${context.model("m", { kind: "answer", text: "one two three", paceMs: 50 })}`;
      const ask = post({ model, stream: true, ...MESSAGE }, ANTHROPIC);
      const sent = await context.send("/v1/messages", { key, ...ask });
      expect(sent.text).toContain("event: message_stop");
      return context.spansOf(sent);
    },
  },
  {
    name: "with tool calls",
    done: "The model calls a tool; the request has parameters, metadata and a session.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok finish=tool_calls", ...SETTLED, "  prompt_cache"],
    async play(context) {
      const toolCalls = [{ id: "call_1", name: "look", arguments: '{"at":"it"}' }];
      const model = `up/${context.model("m", { kind: "answer", toolCalls })}`;
      const params = { temperature: 1, top_p: 0.5, max_tokens: 9, seed: 7, n: 2, frequency_penalty: 0.1 };
      const spans = await context.trace(await context.tenant(), {
        model,
        body: { ...params, presence_penalty: 0.2 },
        headers: {
          "x-headgate-session": "s-1",
          "x-headgate-metadata": '{"team":"blue"}',
          "x-headgate-end-user": "ada",
        },
      });
      expect(spans.find(({ name }) => name.startsWith("chat "))?.attributes).toMatchObject({
        "gen_ai.request.temperature": 1,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.conversation.id": "s-1",
      });
      expect(spans.find(({ name }) => name === CHAT)?.attributes).toMatchObject({
        "gateway.metadata.team": "blue",
        "gen_ai.conversation.id": "s-1",
        "enduser.pseudo.id": expect.stringMatching(/^[0-9a-f]{16}$/),
      });
      return spans;
    },
  },
  {
    name: "usage in detail",
    done: "The upstream bills cached and reasoning tokens apart; the root has the numbers too, and what they cost.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat gpt-4o 200 ok", ...SETTLED],
    async play(context) {
      const usage = {
        prompt_tokens: 100,
        completion_tokens: 50,
        total_tokens: 150,
        prompt_tokens_details: { cached_tokens: 40 },
        completion_tokens_details: { reasoning_tokens: 30 },
      };
      const choices = [{ index: 0, message: { role: "assistant", content: "Yes." }, finish_reason: "stop" }];
      // A model with a price, so that the cost is on the spans too; who shares its script gets the same answer.
      context.stack.upstream.script("gpt-4o", {
        kind: "raw",
        body: JSON.stringify({ id: "c-1", object: "chat.completion", model: "gpt-4o", choices, usage }),
      });
      const spans = await context.trace(await context.tenant(), { model: "up/gpt-4o" });
      const billed = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.reasoning.output_tokens": 30,
      };
      const root = spans.find(({ name }) => name === CHAT);
      expect(root?.attributes).toMatchObject({
        ...billed,
        "gen_ai.request.model": "up/gpt-4o",
        "gateway.cache.status": "bypass",
        "gateway.queue.wait_ms": 0,
        "gateway.usage.source": "provider",
      });
      const { attributes } = spanOf(spans, "gateway.usage.record");
      expect(Number(attributes["gateway.usage.reserved_tokens"])).toBe(
        150 - Number(attributes["gateway.usage.estimate_error_tokens"]),
      );
      expect(root?.attributes["gateway.cost.usd"]).toBeGreaterThan(0);
      expect(spans.find(({ name }) => name === "chat gpt-4o")?.attributes).toMatchObject({
        ...billed,
        "gen_ai.response.id": "c-1",
        "gen_ai.response.model": "gpt-4o",
      });
      return spans;
    },
  },
  {
    name: "prompt cache written",
    done: "An Anthropic model bills what it wrote to and read from its prompt cache: all of it is input.",
    tree: ["POST /v1/messages ok 200", ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const { key } = await context.tenant({ providerKind: "anthropic" });
      const usage = {
        input_tokens: 5,
        cache_creation_input_tokens: 70,
        cache_read_input_tokens: 20,
        output_tokens: 9,
      };
      const content = [{ type: "text", text: "Yes." }];
      const model = context.model("m", ({ model: asked }) => ({
        kind: "raw",
        body: JSON.stringify({
          id: "msg_1",
          type: "message",
          role: "assistant",
          model: asked,
          content,
          stop_reason: "end_turn",
          stop_sequence: null,
          usage,
        }),
      }));
      const sent = await context.send("/v1/messages", {
        key,
        ...post({ model: `up/${model}`, ...MESSAGE }, ANTHROPIC),
      });
      const spans = await context.spansOf(sent);
      expect(spanOf(spans, `chat ${model}`).attributes).toMatchObject({
        "gen_ai.provider.name": "anthropic",
        "gen_ai.usage.input_tokens": 95,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.cache_creation.input_tokens": 70,
        "gen_ai.usage.cache_write.input_tokens": 70,
      });
      return spans;
    },
  },
  {
    name: "embeddings",
    done: "A client requests an embedding.",
    tree: ["POST /v1/embeddings ok 200", ...PASSED, "  embeddings m 200 ok", ...SETTLED],
    async play(context) {
      const { key } = await context.tenant();
      const model = context.model("m");
      context.stack.upstream.script(model, { kind: "raw", body: embeddingOf(model, 1) });
      return context.spansOf(
        await context.send("/v1/embeddings", { key, ...post({ model: `up/${model}`, input: "a" }) }),
      );
    },
  },
  {
    name: "tokens counted",
    done: "`count_tokens` of a model whose vendor has no such call: an estimate, and free.",
    tree: [
      "POST /v1/messages/count_tokens ok 200",
      ...ENTRY,
      "  admission",
      "    queue.wait",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    async play(context) {
      const { key } = await context.tenant();
      const ask = post({ model: `up/${context.model("m")}`, messages: HELLO }, ANTHROPIC);
      return context.spansOf(await context.send("/v1/messages/count_tokens", { key, ...ask }));
    },
  },
  {
    name: "tokens counted by the vendor",
    done: "`count_tokens` of an Anthropic model: its vendor counts.",
    tree: [
      "POST /v1/messages/count_tokens ok 200",
      ...ENTRY,
      "  admission",
      "    queue.wait",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const { key } = await context.tenant({ providerKind: "anthropic" });
      const model = context.model("m", { kind: "raw", body: '{"input_tokens":12}' });
      const ask = post({ model: `up/${model}`, messages: HELLO }, ANTHROPIC);
      return context.spansOf(await context.send("/v1/messages/count_tokens", { key, ...ask }));
    },
  },
  {
    name: "forwarded",
    done: "A moderation: routed and limited like a generation, forwarded unread.",
    tree: [
      "POST /v1/moderations ok 200",
      ...ENTRY,
      "  admission",
      "    queue.wait",
      "  moderation m 200 ok",
      "  usage.record",
    ],
    async play(context) {
      const { key } = await context.tenant();
      const model = context.model("m", { kind: "raw", body: '{"id":"modr-1","results":[]}' });
      return context.spansOf(
        await context.send("/v1/moderations", { key, ...post({ model: `up/${model}`, input: "a" }) }),
      );
    },
  },
  {
    name: "text completion",
    done: "`/v1/completions`: forwarded, billed by its usage.",
    tree: [
      "POST /v1/completions ok 200",
      ...ENTRY,
      "  admission",
      "    queue.wait",
      "  text_completion m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const { key } = await context.tenant();
      const answer = {
        choices: [{ index: 0, text: " upon" }],
        usage: { prompt_tokens: 1, completion_tokens: 1 },
      };
      const model = context.model("m", { kind: "raw", body: JSON.stringify(answer) });
      return context.spansOf(
        await context.send("/v1/completions", { key, ...post({ model: `up/${model}`, prompt: "Once" }) }),
      );
    },
  },
  {
    name: "proxied",
    done: "A call of the vendor's own API: `/proxy/{provider}/…`.",
    tree: [
      "POST /proxy/:provider/:path{.+} ok 200",
      "  auth",
      "  config.load",
      "  admission",
      "    queue.wait",
      "  POST openai 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const { key } = await context.tenant();
      const body = post({ model: context.model("m"), messages: HELLO });
      return context.spansOf(await context.send("/proxy/up/chat/completions", { key, ...body }));
    },
  },
  {
    name: "a stored response",
    done: "`GET /v1/responses/{id}`, from the account that holds it; linked to the request that made it.",
    tree: [
      "GET /v1/responses/:id ok 200 →created_by",
      "  auth",
      "  config.load",
      "  admission",
      "    queue.wait",
      "  GET openai 200 ok",
      "  usage.record",
    ],
    async play(context) {
      const { key } = await context.tenant();
      const stored = { id: "resp_stored", object: "response", status: "completed", output: [] };
      const usage = { input_tokens: 3, output_tokens: 1, total_tokens: 4 };
      const body = JSON.stringify({ ...stored, usage });
      const model = context.model("m", { kind: "raw", body });
      const ask = post({ model: `up/${model}`, input: "Hi" });
      await context.spansOf(await context.send("/v1/responses", { key, ...ask }));
      return context.spansOf(await context.send("/v1/responses/resp_stored", { key }));
    },
  },
  {
    name: "vendor's refusal proxied",
    done: "The vendor answers 404 under `/proxy`, which the client gets unchanged.",
    tree: [
      "POST /proxy/:provider/:path{.+} upstream_error 404",
      "  auth",
      "  config.load",
      "  admission",
      "    queue.wait",
      "  POST openai 404 upstream_rejected ERROR",
      "  usage.record",
    ],
    async play(context) {
      const { key } = await context.tenant();
      const body = post({ model: context.model("m", { kind: "error", status: 404 }) });
      return context.spansOf(await context.send("/proxy/up/chat/completions", { key, ...body }));
    },
  },
  {
    name: "by the platform's binding",
    done: "Workers AI by the Worker's own binding: a call like any other, but without an address and on an upstream-only wire.",
    tree: [
      `${CHAT} ok 200`,
      ...PASSED,
      "  chat m 200 ok",
      "  response.format client=openai-chat",
      ...SETTLED,
    ],
    async play(context) {
      const model = "@cf/meta/llama-3.1-8b-instruct";
      context.aliases.set(model, "m");
      // The binding is a deployment's: a gateway that has it, and what is behind it.
      const platform = await startScriptedUpstream();
      const vars = { OTLP_ENDPOINT: context.stack.otlp.url };
      const gateway = await startGateway({ vars, aiUrl: platform.url });
      try {
        const usage = { prompt_tokens: 19, completion_tokens: 15, total_tokens: 34 };
        // The binding's body names no model, so the script is for none.
        platform.script("", { kind: "raw", body: JSON.stringify({ response: "Yes.", usage }) });
        const { id, key } = await makeTenant(gateway);
        await gateway.admin("PUT", `/admin/tenants/${id}/providers/cf`, { kind: "workers-ai" });
        const response = await send(gateway.url, key, { model: `cf/${model}` });
        const spans = await context.spansOf(read(response, await response.text()));
        const { attributes } = spanOf(spans, `chat ${model}`);
        expect(attributes).toMatchObject({
          "gen_ai.provider.name": "cloudflare.workers_ai",
          "gen_ai.usage.output_tokens": 15,
        });
        expect(attributes).not.toHaveProperty("server.address");
        return spans;
      } finally {
        await gateway.stop();
        await platform.close();
      }
    },
  },
  {
    name: "record written",
    done: "An operator writes a route: a write leaves a trace, a read doesn't.",
    tree: ["PUT /admin/tenants/:tenant/routes/:name ok 201"],
    async play(context) {
      const { id } = await context.tenant();
      const path = `/admin/tenants/${id}/routes/r`;
      const response = await context.gateway.admin("PUT", path, { targets: targets(context.model("m")) });
      const looked = await context.gateway.admin("GET", path);
      const spans = await context.spansOf({ traceId: response.headers.get("x-trace-id") ?? "" });
      expect(context.stack.otlp.spansOf(looked.headers.get("x-trace-id") ?? "")).toEqual([]);
      return spans;
    },
  },
  {
    name: "models listed",
    done: "A client lists the models: no upstream is called, nothing is limited.",
    tree: ["GET /v1/models ok 200", "  auth", "  config.load"],
    async play(context) {
      const { key } = await context.tenant();
      return context.spansOf(await context.send("/v1/models", { key }));
    },
  },
  {
    name: "route that passes over targets",
    done: "A route's second target is pinned by `x-headgate-target`.",
    tree: [
      `${CHAT} ok 200`,
      "  auth",
      "  config.load",
      "  route strategy=pinned reason='pinned by x-headgate-target' rejected='up/m1: another target is pinned'",
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait",
      "  chat m2 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const [one, other] = [context.model("m1"), context.model("m2")];
      const tenant = await context.tenant({ routes: { r: { targets: targets(one, other) } } });
      return context.trace(tenant, { model: "r", headers: { "x-headgate-target": `up/${other}` } });
    },
  },
];

function embeddingOf(model: string, count: number): string {
  const data = Array.from({ length: count }, (_, index) => ({
    object: "embedding",
    index,
    embedding: [0.1, 0.2],
  }));
  return JSON.stringify({ object: "list", data, model, usage: { prompt_tokens: 3, total_tokens: 3 } });
}
