// The vendors' own clocks through the real gateway: a scripted Groq, llama.cpp, vLLM, Ollama and Azure, whole and streamed, seen in the
// stored trace, in its drawing and in the export.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TEST_VARS } from "../../support/clients/admin-client.ts";
import { chat } from "../../support/clients/chat-client.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

let stack: GatewayStack;
let key: string;
let provider: string;
beforeAll(async () => {
  stack = await startGatewayStack();
  ({ key, provider } = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    providerKind: "openai-compatible",
  }));
});
afterAll(() => stack.close());

const USAGE = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };
/** Far above what is said, so that it fits on a busy machine too. */
const DELAY_MS = 120;

interface Vendor {
  readonly headers?: Readonly<Record<string, string>>;
  readonly fields?: object;
  readonly said: Readonly<Record<string, unknown>>;
  readonly drawn: RegExp;
}

const reported = (times: object): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(times).map(([name, ms]) => [`gateway.upstream.reported.${name}_ms`, ms]));

const VENDORS: Readonly<Record<string, Vendor>> = {
  groq: {
    headers: {
      "x-groq-region": "fra",
      "cf-ray": "8f-ZRH",
      "x-ratelimit-remaining-tokens": "5900",
      "x-ratelimit-reset-tokens": "1s",
    },
    fields: {
      usage: { ...USAGE, queue_time: 0.01, prompt_time: 0.02, completion_time: 0.03, total_time: 0.05 },
      system_fingerprint: "fp_groq",
    },
    said: {
      ...reported({ queue: 10, prefill: 20, decode: 30 }),
      "gateway.upstream.region": "fra",
      "gateway.upstream.colo": "ZRH",
      "gateway.upstream.system_fingerprint": "fp_groq",
      "gateway.upstream.ratelimit.tokens_remaining": 5900,
    },
    drawn: /their queue 10 ms.*prefill 20 ms.*decode 30 ms/,
  },
  "llama.cpp": {
    fields: { usage: USAGE, timings: { prompt_ms: 30.5, predicted_ms: 45 } },
    said: reported({ prefill: 30.5, decode: 45 }),
    drawn: /prefill 31 ms.*decode 45 ms/,
  },
  vllm: {
    fields: {
      usage: USAGE,
      metrics: { time_to_first_token_ms: 25.5, generation_time_ms: 40.5, queue_time_ms: 5.5 },
    },
    said: reported({ queue: 5.5, prefill: 25.5, decode: 40.5 }),
    drawn: /their queue 6 ms.*prefill 26 ms.*decode 41 ms/,
  },
  ollama: {
    fields: {
      usage: USAGE,
      total_duration: 74_000_000,
      load_duration: 10_000_000,
      prompt_eval_duration: 13_000_000,
      eval_duration: 51_000_000,
    },
    said: reported({ queue: 10, prefill: 13, decode: 51, total: 74 }),
    drawn: /their queue 10 ms.*prefill 13 ms.*decode 51 ms/,
  },
  azure: {
    headers: {
      "x-ms-region": "Sweden Central",
      "azureml-model-session": "d089-2024",
      "x-envoy-upstream-service-time": "60",
      "x-ratelimit-remaining-requests": "49",
    },
    fields: { usage: USAGE },
    said: {
      ...reported({ total: 60 }),
      "gateway.upstream.region": "Sweden Central",
      "gateway.upstream.replica": "d089-2024",
      "gateway.upstream.ratelimit.requests_remaining": 49,
    },
    drawn: /served by Sweden Central · d089-2024/,
  },
};

const event = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;

function script(model: string, { headers = {}, fields = {} }: Vendor, stream: boolean): void {
  const head = { id: "c1", model, created: 1 };
  const pieces = stream
    ? [
        event({ ...head, choices: [{ index: 0, delta: { role: "assistant", content: "ok" } }] }),
        event({ ...head, choices: [{ index: 0, delta: {}, finish_reason: "stop" }], ...fields }),
        "data: [DONE]\n\n",
      ]
    : [
        JSON.stringify({
          ...head,
          choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }],
          ...fields,
        }),
      ];
  const contentType = stream ? "text/event-stream" : "application/json";
  stack.upstream.script(model, async () => {
    await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
    return { kind: "pieces", headers, contentType, pieces };
  });
}

describe.each(Object.entries(VENDORS))("%s", (_, vendor) => {
  test.each([
    ["whole", false],
    ["streamed", true],
  ])("%s: in the trace, its drawing and the export", async (_form, stream) => {
    const model = uniqueModel();
    script(model, vendor, stream);
    const { status, text, traceId } = await chat(stack, key, { model: `${provider}/${model}`, stream });
    expect(status, text).toBe(200);

    const exported = await stack.otlp.waitForTrace(traceId);
    const attempt = exported.find(({ name }) => name === `chat ${model}`);
    expect(attempt?.attributes).toMatchObject(vendor.said);
    // A stream's decoding may be said to be longer than what is left after its first chunk, never longer than the call.
    if (!stream) expect(attempt?.attributes).not.toHaveProperty("gateway.upstream.reported.doubtful");

    const stored = await (await stack.gateway.admin("GET", `/admin/traces/${traceId}`)).text();
    for (const name of Object.keys(vendor.said)) expect(stored).toContain(name);
    const drawing = await fetch(`${stack.gateway.url}/admin/traces/${traceId}?width=140`, {
      headers: { authorization: `Bearer ${TEST_VARS["ADMIN_TOKEN"]}`, accept: "text/plain" },
    });
    expect(await drawing.text()).toMatch(vendor.drawn);
  });
});
