/** The welcome page's request: a stream of the OpenAI form from the demo route, read piece by piece. */

import { ApiError } from "./api.ts";

export interface DemoExchange {
  readonly text: string;
  readonly isDone: boolean;
}

interface Question {
  readonly key: string;
  readonly question: string;
  readonly onProgress: (exchange: DemoExchange) => void;
}

/** Resolves after the last byte with the trace's id. Throws `ApiError` with the gateway's words where it refused. */
export async function sendQuestion({
  key,
  question,
  onProgress,
}: Question): Promise<{ readonly traceId: string }> {
  onProgress({ text: "", isDone: false });
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "demo", stream: true, messages: [{ role: "user", content: question }] }),
    });
    const traceId = response.headers.get("x-trace-id");
    if (!response.ok || response.body === null || traceId === null) {
      throw new ApiError(await refusalOf(response), response.status);
    }
    let text = "";
    for await (const delta of deltasOf(response.body)) {
      text += delta;
      onProgress({ text, isDone: false });
    }
    onProgress({ text, isDone: true });
    return { traceId };
  } catch (error) {
    onProgress({ text: "", isDone: true });
    throw error;
  }
}

async function refusalOf(response: Response): Promise<string> {
  try {
    const { error } = (await response.json()) as { readonly error?: { readonly message?: string } };
    return error?.message ?? `The gateway answered ${response.status}.`;
  } catch {
    return `The gateway answered ${response.status}.`;
  }
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
}

/** The text deltas of an event stream that this gateway wrote: one `data:` line an event. */
async function* deltasOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    pending += decoder.decode(value, { stream: true });
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) {
      const data = line.startsWith("data: ") ? line.slice(6).trim() : "";
      if (data === "" || data === "[DONE]") continue;
      const delta = (JSON.parse(data) as Chunk).choices?.[0]?.delta?.content;
      if (typeof delta === "string") yield delta;
    }
  }
}

const DEMO_KEY = "demo-key";

/** For this tab only; the demo tenant's key opens nothing but the demo. */
export function keepDemoKey(key: string): void {
  try {
    sessionStorage.setItem(DEMO_KEY, key);
  } catch {
    // Without storage the page asks for it.
  }
}

export function keptDemoKey(): string {
  try {
    return sessionStorage.getItem(DEMO_KEY) ?? "";
  } catch {
    return "";
  }
}
