// What an upstream says of its work and its limits, through the pipeline: on the attempt's span, and in the choice of the next target.
import { describe, expect, test } from "vitest";
import { createMeasuredTargets } from "../../../src/targets/targets.ts";
import { createFakeGateway, spanNamed } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";

const BUNDLE = fakeBundle({
  providers: { a: { kind: "openai-compatible" }, b: { kind: "openai-compatible" } },
  routes: {
    both: {
      targets: [
        { provider: "a", model: "m" },
        { provider: "b", model: "m" },
      ],
    },
    one: { targets: [{ provider: "a", model: "m" }] },
  },
});

function answer(headers: Readonly<Record<string, string>>, fields: object = {}): Response {
  const body = {
    choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
    ...fields,
  };
  return Response.json(body, { headers });
}

const askOf = (model: string) => ({ model, messages: [{ role: "user", content: "hi" }] });

describe("the attempt's span", () => {
  test("has what head and body say; times longer than the call are doubtful", async () => {
    const gateway = createFakeGateway({
      bundle: BUNDLE,
      chat: askOf("one"),
      replies: [
        answer(
          {
            "x-ms-region": "East US",
            "x-ratelimit-remaining-requests": "7",
            "x-ratelimit-reset-requests": "500ms",
          },
          { timings: { prompt_ms: 30.5, predicted_ms: 61 }, system_fingerprint: "b10068" },
        ),
      ],
    });
    await gateway.generate();
    const attempt = spanNamed(await gateway.finish(), "chat m");
    expect(attempt.attributes).toMatchObject({
      "gateway.upstream.reported.prefill_ms": 30.5,
      "gateway.upstream.reported.decode_ms": 61,
      // The clock of this test stands still.
      "gateway.upstream.reported.doubtful": true,
      "gateway.upstream.region": "East US",
      "gateway.upstream.system_fingerprint": "b10068",
      "gateway.upstream.ratelimit.requests_remaining": 7,
      "gateway.upstream.ratelimit.requests_reset_ms": 500,
    });
  });

  test("has none of it where nothing is said", async () => {
    const gateway = createFakeGateway({ bundle: BUNDLE, chat: askOf("one"), replies: [answer({})] });
    await gateway.generate();
    const names = Object.keys(spanNamed(await gateway.finish(), "chat m").attributes);
    expect(names.filter((name) => /reported|ratelimit|region|colo|replica/.test(name))).toEqual([]);
  });
});

describe("a target that has said that nothing is left", () => {
  const used = { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s" };

  test("is passed over for the next one", async () => {
    const targets = createMeasuredTargets(() => 0);
    const gateway = (...replies: readonly Response[]) =>
      createFakeGateway({ bundle: BUNDLE, chat: askOf("both"), replies, targets });
    await gateway(answer(used)).generate();
    const second = gateway(answer({}));
    await second.generate();
    expect(second.facts.target).toBe("b/m");
    const { root } = await second.finish();
    expect(root.events).toContainEqual(
      expect.objectContaining({
        name: "gateway.fallback",
        attributes: { "error.type": "rate_limit_near", "gateway.attempt.target": "b/m" },
      }),
    );
  });

  test("is called all the same where it is the only one", async () => {
    const targets = createMeasuredTargets(() => 0);
    const gateway = (...replies: readonly Response[]) =>
      createFakeGateway({ bundle: BUNDLE, chat: askOf("one"), replies, targets });
    await gateway(answer(used)).generate();
    const second = gateway(answer({}));
    await second.generate();
    expect(second.facts.target).toBe("a/m");
  });
});
