// A real Gemini API on node:http whose every answer a test scripts by the model's name, and which remembers what it was asked.
// It is no part of the gateway.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type GeminiRequest = {
  readonly path: string;
  readonly model: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly json: Readonly<Record<string, unknown>>;
  /** Whether our answer went out whole; `open` while it is under way. */
  outcome: "open" | "complete" | "client_closed";
  readonly ended: Promise<void>;
};

export type GeminiReply =
  /** A `GenerateContentResponse` for each event; a whole answer is the first one. */
  | {
      readonly kind: "events";
      readonly events: readonly object[];
      readonly paceMs?: number;
      readonly end?: "cut" | "stall";
    }
  | { readonly kind: "json"; readonly status?: number; readonly body: unknown }
  /** Takes the request and sends nothing. */
  | { readonly kind: "hang" };

export interface ScriptedGemini {
  /** Base URL without a version. */
  readonly url: string;
  requestsFor(model: string): readonly GeminiRequest[];
  script(model: string, reply: GeminiReply): void;
  close(): Promise<void>;
}

/** One event or whole answer with these parts. */
export function candidate(parts: readonly object[], more: object = {}, usage?: object): object {
  return {
    candidates: [{ content: { parts, role: "model" }, index: 0, ...more }],
    ...(usage !== undefined && { usageMetadata: usage }),
    modelVersion: "gemini-scripted-001",
    responseId: "scripted-response-1",
  };
}

export async function startScriptedGemini(): Promise<ScriptedGemini> {
  const requests: GeminiRequest[] = [];
  const scripts = new Map<string, GeminiReply>();
  const server = createServer((incoming, response) => {
    response.socket?.setNoDelay(true);
    void exchange(incoming, response).catch(() => response.destroy());
  });

  async function exchange(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(incoming, response);
    requests.push(request);
    const reply = scripts.get(request.model);
    if (reply === undefined) {
      const message = `models/${request.model} is not found`;
      writeJson(response, 404, { error: { code: 404, message, status: "NOT_FOUND" } });
    } else await writeReply(reply, request, response);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requestsFor: (model) => requests.filter((request) => request.model === model),
    script: (model, reply) => void scripts.set(model, reply),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readRequest(incoming: IncomingMessage, response: ServerResponse): Promise<GeminiRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const path = incoming.url ?? "/";
  const [, model = "", method = ""] = /\/models\/([^:?]+):(\w+)/.exec(path) ?? [];
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const request: GeminiRequest = {
    path,
    model,
    method,
    headers: incoming.headers,
    json: JSON.parse(Buffer.concat(chunks).toString()),
    outcome: "open",
    ended,
  };
  response.once("close", () => {
    request.outcome = response.writableFinished ? "complete" : "client_closed";
    end();
  });
  return request;
}

async function writeReply(
  reply: GeminiReply,
  request: GeminiRequest,
  response: ServerResponse,
): Promise<void> {
  if (reply.kind === "hang") return;
  if (reply.kind === "json") return writeJson(response, reply.status ?? 200, reply.body);
  if (request.method !== "streamGenerateContent") return writeJson(response, 200, reply.events[0]);
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const [at, event] of reply.events.entries()) {
    if (at > 0 && reply.paceMs !== undefined)
      await new Promise((resolve) => setTimeout(resolve, reply.paceMs));
    if (response.destroyed) return;
    await new Promise((resolve) => response.write(`data: ${JSON.stringify(event)}\r\n\r\n`, resolve));
  }
  if (reply.end === "cut") response.destroy();
  else if (reply.end !== "stall") response.end();
}

function writeJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=UTF-8" }).end(JSON.stringify(body));
}
