// Two hundred streams at once, ten to a trace id and all ten under one span of their caller's, as an agent's parallel calls are:
// each has its own tree with its own chunks, usage and end, at the operator's collector and at the tenant's.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post } from "../../support/clients/chat-client.ts";
import { checkOtlp } from "../../support/checkers/otlp-proto.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace, splitRequests } from "../../support/checkers/trace-invariants.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

const STREAMS = 200;
const SHARING = 10;
const TIMEOUT_MS = 60_000;
/** Chunks that a stream has which its upstream cuts, or ends in an error. */
const BROKEN_AFTER = 2;
/** Longer than the test: plain workerd notices that a client has left when it writes to it. */
const ENDLESS_CHUNKS = 2000;

let stack: GatewayStack;
let own: OtlpReceiver;
beforeAll(async () => {
  [stack, own] = await Promise.all([startGatewayStack(), startOtlpReceiver()]);
});
afterAll(() => Promise.all([stack.close(), own.close()]));

type Fate = "complete" | "cut" | "error" | "left";

const fateOf = (index: number): Fate =>
  index % 10 === 7 ? "cut" : index % 10 === 8 ? "error" : index % 10 === 9 ? "left" : "complete";
/** Another number of chunks and of tokens for each. */
const chunksOf = (index: number): number => 3 + (index % 17);
const usageOf = (index: number) => ({ inputTokens: 1000 + index, outputTokens: 5000 + index });

function replyTo(index: number): Reply {
  const fate = fateOf(index);
  const count = fate === "left" ? ENDLESS_CHUNKS : chunksOf(index);
  const answer = {
    kind: "answer",
    chunks: Array.from({ length: count }, (_, at) => `${index}.${at} `),
    usage: usageOf(index),
    paceMs: 10 + (index % 5) * 10,
  } as const;
  if (fate === "cut") return { ...answer, end: "cut", endAfterChunks: BROKEN_AFTER };
  if (fate === "error") return { ...answer, end: "error-event", endAfterChunks: BROKEN_AFTER };
  return answer;
}

type Caller = { readonly traceId: string; readonly spanId: string };
type TimedAnswer = Caller & { readonly index: number; readonly requestId: string; readonly text: string };

async function sendRequest(
  key: string,
  model: string,
  index: number,
  { traceId, spanId }: Caller,
): Promise<TimedAnswer> {
  const leaving = new AbortController();
  const response = await post(stack.gateway.url, key, {
    model,
    prompt: `stream ${index}.`,
    stream: true,
    headers: { traceparent: `00-${traceId}-${spanId}-01` },
    signal: leaving.signal,
  });
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes, { stream: true });
      if (fateOf(index) === "left" && text.includes(`${index}.4 `)) leaving.abort();
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
  }
  return { index, traceId, spanId, requestId: response.headers.get("x-request-id") ?? "", text };
}

test(
  "each of two hundred streams that share trace ids has its own tree, with what became of it",
  { timeout: TIMEOUT_MS },
  async () => {
    const model = uniqueModel();
    // No client gets a word before all have come.
    const all = Promise.withResolvers<void>();
    stack.upstream.script(model, async ({ body, earlier }) => {
      if (earlier === STREAMS - 1) all.resolve();
      await all.promise;
      return replyTo(Number(/stream (\d+)\./.exec(body)?.[1]));
    });
    const { key } = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      record: { tracing: { destinations: [{ name: "own", endpoint: own.url }] } },
      limits: { concurrency: STREAMS },
    });
    const callers = Array.from({ length: STREAMS / SHARING }, () => ({
      traceId: randomUUID().replaceAll("-", ""),
      spanId: randomUUID().replaceAll("-", "").slice(0, 16),
    }));
    const answers = await Promise.all(
      Array.from({ length: STREAMS }, (_, index) => {
        const caller = callers[index % callers.length];
        if (caller === undefined) throw new Error("there is no caller");
        return sendRequest(key, `up/${model}`, index, caller);
      }),
    );
    expect(stack.upstream.maxInFlight(model)).toBe(STREAMS);
    // No client got a byte of another's.
    for (const { index, text } of answers) {
      const words = [...text.matchAll(/(\d+)\.\d+ /g)].map(([, whose]) => Number(whose));
      expect(new Set(words)).toEqual(new Set([index]));
    }

    for (const receiver of [stack.otlp, own]) {
      const requests = await treesAt(receiver, callers);
      expect(requests).toHaveLength(STREAMS);
      expect(requests.flatMap((spans) => checkTrace(spans, { others: requests.flat() }))).toEqual([]);
      const byRequest = new Map(
        requests.map((spans) => [rootOf(spans).attributes["gateway.request.id"], spans]),
      );
      for (const each of answers)
        checkTree(byRequest.get(each.requestId) ?? [], each, model, receiver === own);
      expect(receiver.exports.flatMap(({ json }) => checkOtlp(json))).toEqual([]);
    }
  },
);

/** The requests' trees, once the roots of all of them have come. */
async function treesAt(
  receiver: OtlpReceiver,
  callers: readonly Caller[],
): Promise<readonly (readonly FlatSpan[])[]> {
  const ids = new Set(callers.map(({ traceId }) => traceId));
  const ours = (): readonly FlatSpan[] => receiver.spans().filter(({ traceId }) => ids.has(traceId));
  await receiver.waitUntil(() => ours().filter(isRoot).length >= STREAMS, { timeoutMs: TIMEOUT_MS / 2 });
  return [...Map.groupBy(ours(), ({ traceId }) => traceId).values()].flatMap(splitRequests);
}

function checkTree(
  spans: readonly FlatSpan[],
  { index, traceId, spanId, text }: TimedAnswer,
  model: string,
  hasParent: boolean,
): void {
  const root = rootOf(spans);
  const calls = spans.filter(({ attributes }) => attributes["gateway.attempt.number"] !== undefined);
  expect(calls.map(({ name }) => name)).toEqual([`chat ${model}`]);
  const [call] = calls;
  const fate = fateOf(index);
  const outcome = {
    complete: "ok",
    cut: "upstream_error",
    error: "upstream_error",
    left: "client_disconnected",
  }[fate];
  expect(root.attributes).toMatchObject({ "gateway.outcome": outcome, "gateway.stream": true });
  expect(call?.attributes["gateway.attempt.outcome"]).toBe(outcome);
  expect(root.traceId).toBe(traceId);

  const parent = hasParent ? root.parentSpanId : root.links.find(isClientParent)?.spanId;
  expect(parent).toBe(spanId);

  const chunks = Number(root.attributes["gateway.stream.chunks"]);
  expect(call?.attributes["gateway.stream.chunks"]).toBe(chunks);
  const { inputTokens, outputTokens } = usageOf(index);
  if (fate === "complete") {
    // Beside the text: the end, the usage, and the mark that all is sent.
    expect(chunks).toBe(chunksOf(index) + 3);
    expect(root.attributes["gateway.stream.bytes"]).toBe(Buffer.byteLength(text));
    for (const span of [root, call]) {
      expect(span?.attributes).toMatchObject({
        "gen_ai.usage.input_tokens": inputTokens,
        "gen_ai.usage.output_tokens": outputTokens,
      });
    }
  } else {
    expect(root.attributes["gateway.usage.source"]).toBe("estimate");
    if (fate === "left") expect(chunks).toBeGreaterThanOrEqual(1);
    else expect(chunks).toBe(fate === "cut" ? BROKEN_AFTER : BROKEN_AFTER + 1);
  }
}

const isRoot = ({ name }: FlatSpan): boolean => name === "POST /v1/chat/completions";
const isClientParent = ({ attributes }: FlatSpan["links"][number]): boolean =>
  attributes["gateway.link.type"] === "client_parent";

function rootOf(spans: readonly FlatSpan[]): FlatSpan {
  const root = spans.find(isRoot);
  if (root === undefined) throw new Error(`no root among ${spans.length} spans`);
  return root;
}
