import { describe, expect, test } from "vitest";
import { readChatContent } from "../../../../src/wires/openai-chat/client-content.ts";
import { createChoiceCollector } from "../../../../src/telemetry/content/content-choices.ts";
import { renderContent, withContent } from "../../../../src/telemetry/content/content-render.ts";
import {
  createContentRecorder,
  lesserMode,
  type SpanContent,
} from "../../../../src/telemetry/content/content.ts";
import { createTraceEncoder } from "../../../../src/telemetry/export/export-encode.ts";
import { fakeChat } from "../../../support/fakes/fake-tenant.ts";
import { flattenSpans } from "../../../support/checkers/otlp-spans.ts";
import { startTrace } from "../../../support/fakes/fake-trace.ts";
import { plainTrace } from "../../../support/builders/sample-traces.ts";

const FULL = { mode: "full", maxChars: 16_384 } as const;

const content = (about: Partial<SpanContent> = {}): SpanContent => ({
  instructions: [],
  input: [],
  output: [],
  tools: [],
  ...about,
});

const said = (text: string) => ({ role: "user", parts: [{ type: "text", content: text }] });
const read = (rendered: Readonly<Record<string, unknown>>, name: string): unknown =>
  JSON.parse(String(rendered[name]));

describe("a request of the openai-chat dialect", () => {
  test("is shown in the conventions' parts", () => {
    const chat = fakeChat({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "developer", content: [{ type: "text", text: "In French." }] },
        {
          role: "user",
          name: "ada",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image_url", image_url: { url: "https://pictures.example/cat.png" } },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } },
          ],
        },
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "c1", type: "function", function: { name: "look", arguments: '{"at":"cat"}' } },
            { id: "c2", type: "function", function: { name: "broken", arguments: '{"at":' } },
          ],
        },
        { role: "tool", tool_call_id: "c1", content: "a cat" },
        { role: "system", content: "Still brief." },
      ],
      tools: [{ type: "function", function: { name: "look", parameters: {} } }],
    });
    expect(readChatContent(chat)).toEqual({
      instructions: [
        { type: "text", content: "Be brief." },
        { type: "text", content: "In French." },
      ],
      input: [
        {
          role: "user",
          name: "ada",
          parts: [
            { type: "text", content: "What is this?" },
            { type: "uri", modality: "image", uri: "https://pictures.example/cat.png" },
            { type: "blob", modality: "image", content: "(left out: 26 characters)" },
            { type: "blob", modality: "audio", content: "(left out: 4 characters)" },
          ],
        },
        {
          role: "assistant",
          parts: [
            { type: "tool_call", id: "c1", name: "look", arguments: { at: "cat" } },
            { type: "tool_call", id: "c2", name: "broken", arguments: '{"at":' },
          ],
        },
        { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: "a cat" }] },
        { role: "system", parts: [{ type: "text", content: "Still brief." }] },
      ],
      tools: [{ type: "function", function: { name: "look", parameters: {} } }],
    });
  });

  test.each([
    [{ messages: [{ role: "user", content: 7 }] }],
    [{ messages: [{ role: "user", content: [null, "x", { type: "image_url" }] }] }],
    [{ messages: [{ role: "assistant", tool_calls: "no", content: {} }], tools: 5 }],
  ])("is shown without a fault whatever it holds: %j", (wire) => {
    const chat = { ...fakeChat(), body: wire };
    expect(() => renderContent({ ...readChatContent(chat), output: [] }, FULL)).not.toThrow();
  });
});

describe("content on a span", () => {
  test("is one JSON string an attribute, and nothing where there is nothing", () => {
    const rendered = renderContent(content({ input: [said("Hi")] }), FULL);
    expect(Object.keys(rendered)).toEqual(["gen_ai.input.messages"]);
    expect(read(rendered, "gen_ai.input.messages")).toEqual([said("Hi")]);
  });

  test("is masked before it is cut, in texts, names, tool arguments and numbers", () => {
    const text = `${"x".repeat(60)} 4111 1111 1111 1111 and ada@example.com`;
    const call = {
      type: "tool_call",
      name: "pay",
      arguments: { card: 4_111_111_111_111_111, password: "hunter2", to: "ada@example.com", note: "ok" },
    };
    const input = [said(text), { role: "assistant", parts: [call] }];
    for (const maxChars of [80, 120, 200, 400, 16_384]) {
      const rendered = JSON.stringify(renderContent(content({ input }), { mode: "redacted", maxChars }));
      for (const secret of ["4111", "ada@", "hunter2"]) expect(rendered).not.toContain(secret);
    }
    const whole = JSON.stringify(renderContent(content({ input }), { ...FULL, mode: "redacted" }));
    for (const mask of ["[card]", "[email]", "[secret]"]) expect(whole).toContain(mask);
  });

  test.each([100, 500, 2000, 4095])("is valid JSON of at most %i characters", (maxChars) => {
    const input = Array.from({ length: 40 }, (_, at) => said(`${at} ${'"\\\n😀'.repeat(200)}`));
    const rendered = renderContent(content({ input }), { mode: "full", maxChars });
    const json = String(rendered["gen_ai.input.messages"] ?? "[]");
    expect(json.length).toBeLessThanOrEqual(maxChars);
    expect(JSON.parse(json)).toBeInstanceOf(Array);
    expect(json.isWellFormed()).toBe(true);
  });

  test("keeps the newest messages where not all have room", () => {
    const input = Array.from({ length: 100 }, (_, at) => said(`message ${at}`));
    const kept = read(
      renderContent(content({ input }), { mode: "full", maxChars: 500 }),
      "gen_ai.input.messages",
    );
    expect(JSON.stringify(kept)).toContain("message 99");
    expect(JSON.stringify(kept)).not.toContain('message 1"');
  });

  test.each([
    ["card", "4111 1111 1111 1111"],
    ["key", `sk-${"Ab3dEf6hIj9k".repeat(8)}`],
    ["token", `eyJ${"hbGciOiJI".repeat(200)}.${"c2lnbmF0".repeat(60)}`],
    ["address", "somebody.with.a.long.name@mail.example.com"],
  ])("leaves no part of a %s readable, wherever the text is cut", (_, secret) => {
    for (let offset = -secret.length - 8; offset <= 1040; offset += 41) {
      const text = "word ".repeat(800).slice(0, 3000 + offset) + ` ${secret} ${"and more ".repeat(2000)}`;
      const json = JSON.stringify(
        renderContent(content({ input: [said(text)] }), { mode: "redacted", maxChars: 2000 }),
      );
      for (let at = 0; at + 8 <= secret.length; at += 4) expect(json).not.toContain(secret.slice(at, at + 8));
    }
  });

  test("takes a time for masking that is bounded by what is exported, not by what was sent", () => {
    const long = content({ input: Array.from({ length: 40 }, () => said("eyJ-".repeat(60_000))) });
    const many = content({
      input: [
        {
          role: "user",
          parts: [
            {
              type: "x",
              v: Array.from({ length: 200 }, () =>
                Array.from({ length: 200 }, () => Array.from({ length: 20 }, () => "a")),
              ),
            },
          ],
        },
      ],
    });
    for (const each of [long, many]) {
      const startedAt = performance.now();
      renderContent(each, { mode: "redacted", maxChars: 16_384 });
      expect(performance.now() - startedAt).toBeLessThan(1000);
    }
  });

  test("survives a body nested without end", () => {
    let deep: unknown = "bottom";
    for (let depth = 0; depth < 100_000; depth++) deep = [deep];
    expect(() => renderContent(content({ tools: [deep] }), { ...FULL, mode: "redacted" })).not.toThrow();
  });
});

describe("the book", () => {
  const choice = { index: 0, text: "Hello", toolCalls: [], finishReason: "stop" } as const;

  test("keeps each trace's content apart, and the last word on a span", async () => {
    const book = createContentRecorder();
    const [one, other] = [startTrace().trace, startTrace().trace];
    const span = one.root.child("chat m", { kind: "client" });
    book.note({ trace: one, chat: fakeChat() }, span.ref);
    book.note({ trace: one, chat: fakeChat() }, span.ref, () => [choice]);
    expect(book.of(one)?.get(span.ref.spanId)?.().output).toEqual([
      { role: "assistant", parts: [{ type: "text", content: "Hello" }], finish_reason: "stop" },
    ]);
    expect(book.of(other)).toBeUndefined();
  });

  test("says how each choice ended in the conventions' words", () => {
    const book = createContentRecorder();
    const { trace } = startTrace();
    const toolCalls = [{ id: "c", name: "look", argumentsJson: "{}" }];
    const { finishReason: _, ...cut } = choice;
    book.note({ trace, chat: fakeChat() }, trace.root.ref, () => [
      { index: 0, text: "", toolCalls, finishReason: "tool_calls" },
      cut,
    ]);
    const reasons = book
      .of(trace)
      ?.get(trace.root.ref.spanId)?.()
      .output.map((each) => each.finish_reason);
    expect(reasons).toEqual(["tool_call", "error"]);
  });

  test("a streamed answer reads as a whole one, and a long one stays bounded", () => {
    const collector = createChoiceCollector();
    for (const text of ["Hel", "lo"]) collector.add({ type: "text", index: 0, text });
    collector.add({ type: "tool_call", index: 0, call: 0, id: "c", name: "look", argumentsFragment: "{" });
    collector.add({ type: "tool_call", index: 0, call: 0, argumentsFragment: "}" });
    collector.add({ type: "finish", index: 0, reason: "stop" });
    collector.add({ type: "done" });
    expect(collector.read()).toEqual([
      {
        ...choice,
        reasoning: "",
        refusal: "",
        toolCalls: [{ id: "c", name: "look", argumentsJson: "{}" }],
      },
    ]);
    for (let i = 0; i < 1000; i++) collector.add({ type: "text", index: i % 300, text: "x".repeat(1000) });
    expect(JSON.stringify(collector.read()).length).toBeLessThan(100_000);
  });
});

test("a place gets the lesser of what it asks for and what its tenant allows", () => {
  const modes = ["off", "redacted", "full"] as const;
  for (const left of modes) {
    for (const right of modes) {
      const least = Math.min(modes.indexOf(left), modes.indexOf(right));
      expect(lesserMode(left, right)).toBe(modes[least]);
    }
  }
});

describe("an encoded trace", () => {
  async function encodings() {
    const trace = await plainTrace();
    const span = trace.spans.find(({ name }) => name.startsWith("chat"));
    const page = new Map([[span?.spanId ?? "", () => content({ input: [said("canary ada@example.com")] })]]);
    const encoder = createTraceEncoder(trace, page);
    return { trace, page, encoder };
  }

  test("has content only in the form a place may have", async () => {
    const { encoder } = await encodings();
    const { spans, rootedSpans } = encoder.plain();
    const off = encoder.forDestination({ preset: "otlp", content: "off" });
    for (const text of [spans, rootedSpans, off, encoder.forStore("off")])
      expect(text).not.toContain("canary");
    expect(encoder.forDestination({ preset: "otlp", content: "redacted" })).toContain("canary [email]");
    expect(encoder.forStore("full")).toContain("canary ada@example.com");
  });

  test("is shared by all places that get the same", async () => {
    const { encoder } = await encodings();
    expect(encoder.forDestination({ preset: "jaeger", content: "off" })).toBe(encoder.plain().spans);
  });

  test("leaves the trace itself as it was", async () => {
    const { trace, page } = await encodings();
    const joined = withContent(trace, page, FULL);
    expect(JSON.stringify(trace)).not.toContain("canary");
    expect(JSON.stringify(joined)).toContain("canary");
    expect(joined.root).toBe(joined.spans[0]);
  });

  test("for Langfuse tells generations from spans and says when the first chunk came", async () => {
    const setup = startTrace({
      attributes: { "gen_ai.request.model": "chat-fast", "gen_ai.conversation.id": "s1" },
    });
    const call = setup.trace.root.child("chat m", {
      kind: "client",
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.response.time_to_first_chunk": 0.4,
        "gateway.attempt.outcome": "ok",
      },
    });
    setup.pass(900);
    call.end();
    setup.trace.root.set({ "gateway.cost.usd": 0.002 });
    const trace = await setup.finish();
    const encoder = createTraceEncoder(trace, undefined);
    const [root, generation] = flattenSpans({
      resourceSpans: [
        {
          scopeSpans: [
            { spans: JSON.parse(`[${encoder.forDestination({ preset: "langfuse", content: "off" })}]`) },
          ],
        },
      ],
    });
    expect(root?.attributes).toMatchObject({ "langfuse.observation.type": "span", "session.id": "s1" });
    expect(generation?.attributes).toMatchObject({
      "langfuse.observation.type": "generation",
      "langfuse.observation.completion_start_time": new Date(trace.root.startAt + 400).toISOString(),
      "gen_ai.usage.cost": 0.002,
      "session.id": "s1",
    });
    expect(encoder.plain().spans).not.toContain("langfuse");
  });
});
