// A vendor that keeps responses, files and batches, as OpenAI and Anthropic do: one account for all callers, so that only the gateway
// keeps tenants apart. Batches end when a test says so.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Json = Readonly<Record<string, unknown>>;

export interface ScriptedObjects {
  /** Base URL without a path. */
  readonly url: string;
  /** Method, path and query of every request so far. */
  readonly calls: readonly string[];
  /** `authorization`, or `x-api-key`, of every request so far. */
  readonly credentials: readonly string[];
  /** Ends a batch: each request is answered with that usage, except those whose `custom_id` begins with `bad`. */
  finish(batchId: string): void;
  /** Breaks answers that hold results off after so many bytes, or no longer. */
  cutResultsAfter(bytes: number | undefined): void;
  /** What answers of `POST /v1/responses` are. */
  respondWith(fields: Json): void;
  close(): Promise<void>;
}

/** Of each request of a batch: 100 tokens in, 40 of them from a cache, and 20 out. */
export const RESULT_USAGE = { input: 100, cached: 40, output: 20 } as const;

const SECONDS = 1_780_000_000;

export async function startScriptedObjects(): Promise<ScriptedObjects> {
  const calls: string[] = [];
  const credentials: string[] = [];
  const files = new Map<string, { readonly about: Json; readonly content: string }>();
  const batches = new Map<string, Json>();
  const requestsOf = new Map<string, readonly Json[]>();
  const resultsOf = new Map<string, string>();
  const responses = new Map<string, Json>();
  let made = 0;
  let responseFields: Json = {};
  let cutAfter: number | undefined;

  const newId = (prefix: string): string => `${prefix}${(++made).toString(16).padStart(24, "0")}`;

  function addFile(purpose: string, content: string): Json {
    const id = newId("file-");
    const about = {
      id,
      object: "file",
      bytes: content.length,
      created_at: SECONDS,
      filename: "a.jsonl",
      purpose,
      status: "processed",
    };
    files.set(id, { about, content });
    return about;
  }

  function finish(batchId: string): void {
    const batch = batches.get(batchId) ?? {};
    const requests = requestsOf.get(batchId) ?? [];
    if (batchId.startsWith("msgbatch_")) {
      const lines = requests.map((request) => JSON.stringify(anthropicResult(request)));
      resultsOf.set(batchId, lines.map((line) => `${line}\n`).join(""));
      batches.set(batchId, {
        ...batch,
        processing_status: "ended",
        results_url: `https://api.anthropic.com/v1/messages/batches/${batchId}/results`,
      });
      return;
    }
    const isBad = ({ custom_id: id }: Json): boolean => String(id).startsWith("bad");
    // OpenAI's files have no line end behind the last line.
    const output = addFile(
      "batch_output",
      requests
        .filter((one) => !isBad(one))
        .map(openAiResult)
        .join("\n"),
    );
    const errors = addFile("batch_output", requests.filter(isBad).map(openAiError).join("\n"));
    batches.set(batchId, {
      ...batch,
      status: "completed",
      output_file_id: output["id"],
      error_file_id: errors["id"],
    });
  }

  async function answer(
    request: IncomingMessage,
    body: Buffer,
    path: string,
    response: ServerResponse,
  ): Promise<void> {
    const { method = "" } = request;
    const json = (): Json => JSON.parse(body.toString()) as Json;
    const send = (about: unknown): void => {
      response.writeHead(about === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(
        JSON.stringify(about ?? { error: { message: "There is none.", type: "invalid_request_error" } }),
      );
    };
    const sendText = (text: string): void => {
      response.writeHead(200, {
        "content-type": "application/octet-stream",
        "content-length": Buffer.byteLength(text),
      });
      if (cutAfter === undefined) return void response.end(text);
      response.write(text.slice(0, cutAfter), () => setTimeout(() => response.destroy(), 20));
    };
    const [, , collection = "", id, part] = path.replace("messages/batches", "message-batches").split("/");
    if (collection === "files") {
      if (method === "POST") {
        const type = request.headers["content-type"] ?? "";
        const form = await new Response(body, { headers: { "content-type": type } }).formData();
        const [file, purpose] = [form.get("file"), form.get("purpose")];
        return send(
          addFile(typeof purpose === "string" ? purpose : "", file instanceof File ? await file.text() : ""),
        );
      }
      const file = files.get(id ?? "");
      if (id === undefined)
        return send({ object: "list", data: [...files.values()].map(({ about }) => about), has_more: false });
      if (part === "content") return file === undefined ? send(undefined) : sendText(file.content);
      if (method === "DELETE")
        return send(files.delete(id) ? { id, object: "file", deleted: true } : undefined);
      return send(file?.about);
    }
    if (collection === "batches" && method === "POST" && id === undefined) {
      const { input_file_id: input, endpoint, metadata } = json();
      const file = files.get(String(input));
      if (file === undefined) return send(undefined);
      const batchId = newId("batch_");
      requestsOf.set(
        batchId,
        file.content
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line) as Json),
      );
      batches.set(batchId, {
        id: batchId,
        object: "batch",
        endpoint,
        input_file_id: input,
        completion_window: "24h",
        status: "in_progress",
        created_at: SECONDS,
        metadata: metadata ?? null,
      });
      return send(batches.get(batchId));
    }
    if (collection === "message-batches" && method === "POST" && id === undefined) {
      const batchId = newId("msgbatch_");
      requestsOf.set(batchId, json()["requests"] as readonly Json[]);
      batches.set(batchId, {
        id: batchId,
        type: "message_batch",
        processing_status: "in_progress",
        results_url: null,
      });
      return send(batches.get(batchId));
    }
    if (collection.endsWith("batches")) {
      const batch = batches.get(id ?? "");
      if (part === "results")
        return resultsOf.has(id ?? "") ? sendText(resultsOf.get(id ?? "") ?? "") : send(undefined);
      if (method === "DELETE")
        return send(batches.delete(id ?? "") ? { id, type: "message_batch_deleted" } : undefined);
      if (batch === undefined || part !== "cancel") return send(batch);
      const canceled =
        collection === "batches" ? { status: "cancelling" } : { processing_status: "canceling" };
      batches.set(id ?? "", { ...batch, ...canceled });
      return send(batches.get(id ?? ""));
    }
    if (collection === "responses" && method === "POST" && id === undefined) {
      const responseId = newId("resp_");
      responses.set(responseId, { ...responseOf(responseId, json()), ...responseFields });
      return send(responses.get(responseId));
    }
    if (collection === "responses") {
      if (part === "input_items")
        return send({ object: "list", data: [], has_more: false, first_id: null, last_id: null });
      if (method === "DELETE")
        return send(responses.delete(id ?? "") ? { id, object: "response", deleted: true } : undefined);
      const kept = responses.get(id ?? "");
      return send(kept && (part === "cancel" ? { ...kept, status: "cancelled" } : kept));
    }
    return send(undefined);
  }

  const server = createServer((request, response) => {
    const read = async (): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      calls.push(`${request.method} ${request.url}`);
      credentials.push(String(request.headers.authorization ?? request.headers["x-api-key"]));
      await answer(request, Buffer.concat(chunks), (request.url ?? "").replace(/\?.*/, ""), response);
    };
    read().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    credentials,
    finish,
    cutResultsAfter: (bytes) => void (cutAfter = bytes),
    respondWith: (fields) => void (responseFields = fields),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function responseOf(id: string, { model, previous_response_id: previous }: Json): Json {
  return {
    id,
    object: "response",
    created_at: SECONDS,
    status: "completed",
    model,
    previous_response_id: previous ?? null,
    output: [
      {
        id: `${id}-m`,
        type: "message",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: `I am ${id}`, annotations: [] }],
      },
    ],
    usage: {
      input_tokens: 5,
      output_tokens: 7,
      total_tokens: 12,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 },
    },
  };
}

function openAiResult({ custom_id, body }: Json): string {
  const { input, cached, output } = RESULT_USAGE;
  const usage = {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
  };
  const choices = [{ index: 0, message: { role: "assistant", content: "Grüezi 👋" }, finish_reason: "stop" }];
  const answer = {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: SECONDS,
    model: (body as Json)["model"],
    choices,
    usage,
  };
  return JSON.stringify({
    id: "batch_req_1",
    custom_id,
    response: { status_code: 200, request_id: "r", body: answer },
    error: null,
  });
}

function openAiError({ custom_id }: Json): string {
  const body = { error: { message: "Unsupported value", type: "invalid_request_error" } };
  return JSON.stringify({
    id: "batch_req_1",
    custom_id,
    response: { status_code: 400, request_id: "r", body },
    error: null,
  });
}

function anthropicResult({ custom_id, params }: Json): Json {
  const { input, cached, output } = RESULT_USAGE;
  if (String(custom_id).startsWith("bad"))
    return {
      custom_id,
      result: {
        type: "errored",
        error: { type: "error", error: { type: "invalid_request_error", message: "bad" } },
      },
    };
  const usage = {
    input_tokens: input - cached,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: 0,
    output_tokens: output,
    service_tier: "batch",
  };
  const message = {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: (params as Json)["model"],
    content: [{ type: "text", text: "Grüezi 👋" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage,
  };
  return { custom_id, result: { type: "succeeded", message } };
}
