import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeTrace } from "../../../../src/telemetry/otlp/otlp.ts";
import { readResourceSpans } from "../../../../src/telemetry/otlp/otlp-read.ts";
import { shareTime } from "../../../../src/telemetry/trace/time-shares.ts";
import type { SpanAttributes } from "../../../../src/telemetry/trace/attributes.ts";
import type { FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import { drawWaterfall } from "../../../../src/telemetry/waterfall/waterfall.ts";
import { envelope } from "../../../support/checkers/flat-trace.ts";
import { startTrace } from "../../../support/fakes/fake-trace.ts";
import {
  cacheHitTrace,
  fallbackTrace,
  plainTrace,
  refusedTrace,
  semanticTrace,
} from "../../../support/builders/sample-traces.ts";

/** Hundreds of drawings; a limit here only says that something hangs, on machines that do other work too. */
const DRAWING_TIMEOUT_MS = 60_000;

/** As the route draws it: through the stored text. */
function draw(trace: FinishedTrace, width?: number): string {
  return drawWaterfall([readResourceSpans(envelope(encodeTrace(trace).spans))], width);
}

/** Ids of a test run differ; the drawing must not. */
const stable = (drawing: string): string =>
  drawing.replaceAll(/a{20,}[0-9a-f]+/g, (id) => "a".repeat(id.length));

test("a request that waited, failed over and streamed, as README shows it", async () => {
  expect(stable(draw(await fallbackTrace()))).toBe(`\
POST /v1/chat/completions                                                          200 · ok · 2.29 s
tenant acme · key key_9f2c · chat-fast → anthropic/claude-haiku-4-5 · 512 → 118 tokens · $0.001102
cache miss
trace aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa · request req_7Fq2

where the time went
▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒××××××××××××××░░░░░░░░░░░░░░░░░░██████████████████████████████████████████████████─
▒ queue 400 ms   × failed attempts 309 ms   ░ first token 407 ms   █ stream 1.16 s at 102 tok/s
─ gateway 13 ms

                                            0           500 ms      1 s          1.5 s       2 s
                                            ├───────────┼───────────┼────────────┼───────────┼──────
POST /v1/chat/completions           2.29 s  ════════════════════════════════════════════════════════
├─ auth                               0 ms  │ memory
├─ config load                        2 ms  ▌ kv
├─ route                              0 ms  │ first of 2
├─ cache lookup                       9 ms  ▌ MISS
├─ admission                        402 ms  ──────────
│  └─ queue wait                    400 ms  ▒▒▒▒▒▒▒▒▒▒ 3rd in line · held by concurrency
├─ #1 openai/gpt-4o-mini            309 ms            ××××××××
│                                                     429 upstream_rate_limited → next target
├─ #2 anthropic/claude-haiku-4-5    1.56 s                    ░░░░░░░░░░►████████ 102 tok/s ████████
├─ usage count                        0 ms                                                         │
└─ usage record                       3 ms                           138 tokens under the estimate ▌

queued behind  0af7651916cd43dd8448eb211c80319c 4bf92f3577b34da6a3ce929d0e0e4736
admitted by    0af7651916cd43dd8448eb211c80319c
`);
});

describe("the drawing", () => {
  test("says of a hit how old it was, what it saved and where it came from", async () => {
    const drawing = draw(await cacheHitTrace());
    expect(drawing).toContain("HIT · 14 min old · saved 2.28 s and $0.001102");
    expect(drawing).toContain("cached from  4bf92f3577b34da6a3ce929d0e0e4736");
    expect(drawing).toContain("▓ cache 4 ms   ─ gateway 2 ms");
  });

  test("says of a look-up by meaning how near it came, and counts its embedding as the cache's time", async () => {
    const hit = draw(await semanticTrace(true));
    const miss = draw(await semanticTrace(false));
    expect(hit).toContain("HIT · similarity 0.973");
    expect(hit).toContain("embeddings text-embed");
    expect(hit).toContain("▓ cache 100 ms");
    expect(miss).toContain("MISS · similarity 0.91");
    expect(miss).toContain("▓ cache 96 ms");
    expect(miss).not.toContain("failed attempts");
  });

  test("says of a refusal which limit it was and when to come back", async () => {
    const drawing = draw(await refusedTrace());
    expect(drawing).toContain("refused: rate_limited · requests_per_minute is 60 · can succeed in 12 s");
    expect(drawing).toContain("429 · rejected · 5 ms");
  });

  test("has the rate of an answer that was not streamed", async () => {
    expect(draw(await plainTrace())).toContain("█ answer 812 ms at 145 tok/s");
  });

  test("marks where a stream was cut", async () => {
    const setup = startTrace();
    const call = setup.trace.root.child("chat m", { attributes: { "gateway.attempt.number": 1 } });
    setup.pass(400);
    call.event("gateway.stream.first_chunk");
    setup.pass(600);
    call.set({ "gateway.attempt.outcome": "client_disconnected" }).end();
    const drawing = draw(await setup.finish());
    expect(drawing).toMatch(/░+►█+ client_disconnected █+×\n/);
    expect(drawing).toContain("░ first token 400 ms   █ stream 600 ms");
  });

  test("names each of several failures and what was done about it", async () => {
    const setup = startTrace();
    for (const [index, reason] of ["initial", "retry", "fallback"].entries()) {
      const call = setup.trace.root.child("chat m", {
        attributes: { "gateway.attempt.number": index + 1, "gateway.attempt.reason": reason },
      });
      setup.pass(100);
      call.set({ "gateway.attempt.outcome": "upstream_timeout" }).end();
      setup.pass(50);
    }
    const drawing = draw(await setup.finish());
    expect(drawing.match(/upstream_timeout[^\n█×]*/g)?.map((note) => note.trim())).toEqual([
      "upstream_timeout → tried again",
      "upstream_timeout → next target",
      "upstream_timeout",
    ]);
    expect(drawing).toContain("× failed attempts 300 ms   . pause before retry 100 ms   ─ gateway 50 ms");
  });

  test("of a request without any measurable time still shows its steps", async () => {
    const setup = startTrace();
    setup.trace.root.child("gateway.auth").end();
    const drawing = draw(await setup.finish());
    expect(drawing).toContain("finished in under 1 ms");
    expect(drawing).toContain("└─ auth");
  });

  test("says that a span was cut off", async () => {
    const setup = startTrace();
    setup.trace.root.child("gateway.usage.record", { attributes: { "gateway.span.truncated": true } }).end();
    expect(draw(await setup.finish())).toContain("still open at export");
  });

  test("shows each request of a shared trace", async () => {
    const stored = [await plainTrace(), await refusedTrace()].map((trace) =>
      readResourceSpans(envelope(encodeTrace(trace).spans)),
    );
    expect(drawWaterfall(stored).match(/where the time went/g)).toHaveLength(2);
  });

  test("prints no control character, whatever a client put into a name", async () => {
    const setup = startTrace({ attributes: { "gen_ai.request.model": "\u001B[2J\u202Eevil\u0007\n模型" } });
    const drawing = draw(await setup.finish());
    expect(drawing).toContain("?[2J?evil????");
    expect(drawing).not.toMatch(/[[\p{Cc}\p{Cf}]--[\n]]/v);
  });
});

test(
  "no line is wider than asked, at any width, with any text",
  async () => {
    const drawings = [fallbackTrace, cacheHitTrace, refusedTrace, plainTrace].map((make) => make());
    const samples = await Promise.all(drawings);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 60, max: 240 }),
        fc.string({ unit: "binary", maxLength: 300 }),
        fc.array(fc.tuple(fc.nat(5000), fc.nat(5000), fc.boolean()), { maxLength: 6 }),
        async (width, text, calls) => {
          const setup = startTrace({ name: `POST /${text}` });
          setup.trace.root.set({
            "gen_ai.request.model": text,
            "gateway.decision": text,
            "gateway.key.id": text,
          });
          setup.trace.root.child("gateway.route").set({ "gateway.route.reason": text }).end();
          for (const [index, [waitMs, streamMs, isOk]] of calls.entries()) {
            const call = setup.trace.root.child("chat m", {
              attributes: { "gateway.attempt.number": index + 1, "gateway.attempt.target": text },
            });
            setup.pass(waitMs);
            if (isOk) call.event("gateway.stream.first_chunk");
            setup.pass(streamMs);
            call
              .set({ "gateway.attempt.outcome": isOk ? "ok" : text, "gen_ai.usage.output_tokens": streamMs })
              .end();
          }
          for (const trace of [...samples, await setup.finish()]) {
            const widest = Math.max(
              ...draw(trace, width)
                .split("\n")
                .map(({ length }) => length),
            );
            expect(widest).toBeLessThanOrEqual(width);
          }
        },
      ),
      { numRuns: 60 },
    );
  },
  DRAWING_TIMEOUT_MS,
);

test("the parts of the time add up to the whole", async () => {
  for (const make of [fallbackTrace, cacheHitTrace, refusedTrace, plainTrace]) {
    const { root, spans } = await make();
    const sum = shareTime(root, spans).reduce((total, { ms }) => total + ms, 0);
    expect(sum).toBe(root.endAt - root.startAt);
  }
});

describe("what an upstream says of its own time", () => {
  async function drawn(reported: SpanAttributes, firstChunkMs?: number): Promise<string> {
    const setup = startTrace({ attributes: { "gateway.request.id": "req_1" } });
    const { root } = setup.trace;
    const attempt = root.child("chat m", {
      kind: "client",
      attributes: { "gateway.attempt.number": 1, "gateway.attempt.target": "groq/m", ...reported },
    });
    setup.pass(firstChunkMs ?? 1000);
    if (firstChunkMs !== undefined) {
      attempt.event("gateway.stream.first_chunk");
      setup.pass(1000 - firstChunkMs);
    }
    attempt.set({ "gateway.attempt.outcome": "ok" }).end();
    root.end();
    return draw(await setup.trace.finished);
  }
  const PARTS = {
    "gateway.upstream.reported.queue_ms": 200,
    "gateway.upstream.reported.prefill_ms": 200,
    "gateway.upstream.reported.decode_ms": 500,
  } as const;

  test("is drawn inside the bar of a whole answer, with the rest as the network's", async () => {
    const text = await drawn(PARTS);
    expect(text).toMatch(/#1 groq\/m +1\.00 s {2}∙+▀+▄+█+\n/);
    for (const part of ["∙ network 100 ms", "▀ their queue 200 ms", "▄ prefill 200 ms", "█ decode 500 ms"])
      expect(text).toContain(part);
  });

  test("is drawn before a stream's first chunk", async () => {
    const text = await drawn(PARTS, 450);
    expect(text).toMatch(/∙+▀+▄+►█+/);
  });

  test("is not drawn where it doesn't fit", async () => {
    const text = await drawn({
      "gateway.upstream.reported.total_ms": 5000,
      "gateway.upstream.reported.doubtful": true,
    });
    expect(text).not.toMatch(/[∙▀▄]/);
    expect(text).toContain("the upstream's own times don't fit into the call");
  });

  test("says what served the call", async () => {
    const text = await drawn({
      "gateway.upstream.region": "East US",
      "gateway.upstream.system_fingerprint": "fp_1",
      "gateway.upstream.colo": "ZRH",
      "gateway.upstream.service_tier": "flex",
    });
    expect(text).toContain("served by East US · fp_1 · edge ZRH · tier flex");
  });
});

test("requests of two tenants under one trace id are drawn apart, and those of one are not", async () => {
  const read = (trace: FinishedTrace) => readResourceSpans(envelope(encodeTrace(trace).spans));
  const own = read(await fallbackTrace());
  const foreign = read(await plainTrace());
  const [root, ...rest] = foreign.spans;
  if (root === undefined) throw new Error("the sample has no root");
  const attributes = { ...root.attributes, "gateway.tenant.id": "mallory" };
  const other = { ...foreign, spans: [{ ...root, attributes }, ...rest] };
  const drawing = drawWaterfall([own, other, own]);
  const [before = "", mine = "", theirs = ""] = drawing.split("=== tenant ");
  expect(before).toBe("");
  expect(mine).toMatch(/^acme/);
  expect(mine).not.toContain("mallory");
  expect(mine.split("req_7Fq2").length).toBe(3);
  expect(theirs).toMatch(/^mallory/);
  expect(theirs).not.toContain("tenant acme");
  expect(drawWaterfall([own, own])).not.toContain("===");
});
