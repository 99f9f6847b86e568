// What a vendor sends for a call, in each of the five upstream wires of the ledger's property: a whole body, or a stream's events in
// order. The text and the tokens are given; nothing here knows of faults.

export interface VendorAnswer {
  readonly model: string;
  readonly text: string;
  /** Of an embedding. */
  readonly vector: readonly number[];
  /** Absent: the vendor sends no usage. */
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | undefined;
}

export interface VendorWire {
  readonly name: "chat" | "responses" | "messages" | "gemini" | "embeddings";
  /** Of the path that is called. */
  readonly path: RegExp;
  whole(answer: VendorAnswer): string;
  stream(answer: VendorAnswer): readonly string[];
}

const PIECES = 4;

function piecesOf(text: string): readonly string[] {
  const size = Math.max(1, Math.ceil(text.length / PIECES));
  return Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
    text.slice(at * size, (at + 1) * size),
  );
}

const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const named = (value: { readonly type: string; readonly [name: string]: unknown }): string =>
  `event: ${value.type}\n${data(value)}`;

function chatUsage({ usage }: VendorAnswer): object {
  if (usage === undefined) return {};
  const { inputTokens, outputTokens } = usage;
  return {
    usage: {
      prompt_tokens: inputTokens,
      completion_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens,
    },
  };
}

const chat: VendorWire = {
  name: "chat",
  path: /\/chat\/completions$/,
  whole: (answer) =>
    JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1,
      model: answer.model,
      choices: [{ index: 0, message: { role: "assistant", content: answer.text }, finish_reason: "stop" }],
      ...chatUsage(answer),
    }),
  stream: (answer) => {
    const chunk = (choices: readonly object[], more: object = {}): string =>
      data({
        id: "chatcmpl-1",
        object: "chat.completion.chunk",
        created: 1,
        model: answer.model,
        choices,
        ...more,
      });
    const delta = (content: string): string =>
      chunk([{ index: 0, delta: { role: "assistant", content }, finish_reason: null }]);
    return [
      ...piecesOf(answer.text).map(delta),
      chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
      ...(answer.usage === undefined ? [] : [chunk([], chatUsage(answer))]),
      "data: [DONE]\n\n",
    ];
  },
};

const responses: VendorWire = {
  name: "responses",
  path: /\/responses$/,
  whole: (answer) => JSON.stringify(responseOf(answer)),
  stream: (answer) => [
    named({
      type: "response.created",
      response: { ...responseOf(answer), status: "in_progress", output: [], usage: null },
    }),
    ...piecesOf(answer.text).map((delta) =>
      named({
        type: "response.output_text.delta",
        item_id: "msg_1",
        output_index: 0,
        content_index: 0,
        delta,
      }),
    ),
    named({ type: "response.completed", response: responseOf(answer) }),
  ],
};

function responseOf({ model, text, usage }: VendorAnswer): object {
  const content = [{ type: "output_text", text, annotations: [] }];
  return {
    id: "resp_1",
    object: "response",
    status: "completed",
    model,
    output: [{ type: "message", id: "msg_1", status: "completed", role: "assistant", content }],
    ...(usage !== undefined && {
      usage: {
        input_tokens: usage.inputTokens,
        output_tokens: usage.outputTokens,
        total_tokens: usage.inputTokens + usage.outputTokens,
      },
    }),
  };
}

const messages: VendorWire = {
  name: "messages",
  path: /\/messages$/,
  whole: ({ model, text, usage }) =>
    JSON.stringify({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model,
      content: [{ type: "text", text }],
      stop_reason: "end_turn",
      stop_sequence: null,
      ...(usage !== undefined && {
        usage: { input_tokens: usage.inputTokens, output_tokens: usage.outputTokens },
      }),
    }),
  stream: ({ model, text, usage }) => {
    const message = {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      ...(usage !== undefined && { usage: { input_tokens: usage.inputTokens, output_tokens: 1 } }),
    };
    const events: readonly { readonly type: string; readonly [name: string]: unknown }[] = [
      { type: "message_start", message },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      ...piecesOf(text).map((piece) => ({
        type: "content_block_delta",
        index: 0,
        delta: { type: "text_delta", text: piece },
      })),
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        ...(usage !== undefined && { usage: { output_tokens: usage.outputTokens } }),
      },
      { type: "message_stop" },
    ];
    return events.map(named);
  },
};

const gemini: VendorWire = {
  name: "gemini",
  path: /:(?:generateContent|streamGenerateContent)$/,
  whole: (answer) => JSON.stringify(geminiChunk(answer, answer.text, true)),
  stream: (answer) => {
    const pieces = piecesOf(answer.text);
    return pieces.map((piece, at) => data(geminiChunk(answer, piece, at === pieces.length - 1)));
  },
};

function geminiChunk({ model, usage }: VendorAnswer, text: string, isLast: boolean): object {
  return {
    candidates: [
      { index: 0, content: { role: "model", parts: [{ text }] }, ...(isLast && { finishReason: "STOP" }) },
    ],
    modelVersion: model,
    responseId: "r1",
    ...(isLast &&
      usage !== undefined && {
        usageMetadata: {
          promptTokenCount: usage.inputTokens,
          candidatesTokenCount: usage.outputTokens,
          totalTokenCount: usage.inputTokens + usage.outputTokens,
        },
      }),
  };
}

const embeddings: VendorWire = {
  name: "embeddings",
  path: /\/embeddings$/,
  whole: ({ model, vector, usage }) =>
    JSON.stringify({
      object: "list",
      model,
      data: [{ object: "embedding", index: 0, embedding: vector }],
      ...(usage !== undefined && {
        usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.inputTokens },
      }),
    }),
  stream: () => [],
};

const WIRES = [chat, responses, messages, gemini, embeddings] as const;

export function vendorWireOf(url: string): VendorWire {
  const [pathname = ""] = url.split("?");
  const found = WIRES.find(({ path }) => path.test(pathname));
  if (found === undefined) throw new Error(`no wire is called at ${url}`);
  return found;
}
