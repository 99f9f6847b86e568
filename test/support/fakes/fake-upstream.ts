// An upstream in place of `fetch` that answers from a list, one reply a call, and remembers what it was asked. For the pipeline's
// tests in Node and in workerd; a real server on a socket is scripted-upstream.ts.

export interface FakeCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  /** The body as JSON; undefined where there was none. */
  readonly json: Readonly<Record<string, unknown>> | undefined;
  readonly signal: AbortSignal;
  readonly redirect: string | undefined;
}

export type FakeReply = Response | Error | ((call: FakeCall) => Response | Promise<Response>);

export interface FakeUpstream {
  readonly fetch: typeof fetch;
  readonly calls: readonly FakeCall[];
}

/** A call beyond the list fails the test by an error that says so. */
export function createFakeUpstream(...replies: readonly FakeReply[]): FakeUpstream {
  const calls: FakeCall[] = [];
  return {
    calls,
    async fetch(input, init) {
      const call = readCall(input, init);
      const reply = replies[calls.length];
      calls.push(call);
      if (reply === undefined) throw new Error(`call ${calls.length} of ${replies.length}: nothing scripted`);
      if (call.signal.aborted) throw call.signal.reason;
      if (reply instanceof Error) throw reply;
      return typeof reply === "function" ? reply(call) : reply;
    },
  };
}

function readCall(input: Parameters<typeof fetch>[0], init: Parameters<typeof fetch>[1]): FakeCall {
  const body: unknown = typeof init?.body === "string" ? JSON.parse(init.body) : undefined;
  return {
    url: typeof input === "string" ? input : input instanceof URL ? input.href : input.url,
    method: init?.method ?? "GET",
    // Node's and the Workers runtime's types of one thing are not assignable to each other.
    headers: new Headers(init?.headers as Record<string, string>),
    json: body as FakeCall["json"],
    signal: init?.signal ?? new AbortController().signal,
    redirect: init?.redirect,
  };
}

/** Never answers; rejects with the signal's reason when it fires. */
export function hang({ signal }: FakeCall): Promise<Response> {
  const { promise, reject } = Promise.withResolvers<Response>();
  signal.addEventListener("abort", () => reject(signal.reason));
  return promise;
}

export interface FakeAnswer {
  readonly text?: string;
  readonly model?: string;
  readonly finishReason?: string;
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly message?: Readonly<Record<string, unknown>>;
}

export const ANSWER_USAGE = { prompt_tokens: 1000, completion_tokens: 500 };

/** A whole chat completion. */
export function completion(
  answer: FakeAnswer = {},
  headers: Readonly<Record<string, string>> = {},
): Response {
  const {
    text = "Hello",
    model = "gpt-4o-mini-2024-07-18",
    finishReason = "stop",
    usage = ANSWER_USAGE,
  } = answer;
  const message = { role: "assistant", content: text, ...answer.message };
  return Response.json(
    {
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1,
      model,
      choices: [{ index: 0, message, finish_reason: finishReason }],
      ...(usage !== null && { usage }),
    },
    { headers },
  );
}

/** A refusal in OpenAI's form. */
export function failure(
  status: number,
  message = "it failed",
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json(
    { error: { message, type: "server_error", param: null, code: null } },
    { status, headers },
  );
}
