// One chat request as a client of the queue's tests sends it, and what it learns about its wait.
export type TimedAnswer = {
  readonly status: number;
  readonly code: unknown;
  readonly headers: Headers;
  /** In the queue, as the answer's header says. */
  readonly queueMs: number;
  readonly totalMs: number;
};

export type RequestOptions = {
  readonly url: string;
  readonly key: string;
  readonly model: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further fields of the body. */
  readonly body?: Readonly<Record<string, unknown>>;
};

export async function sendRequest({ url, key, model, headers, body }: RequestOptions): Promise<TimedAnswer> {
  const sentAt = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hello" }], ...body }),
  });
  const text = await response.text();
  const code: unknown = response.ok ? undefined : Object(Object(JSON.parse(text))["error"])["code"];
  return {
    status: response.status,
    code,
    headers: response.headers,
    queueMs: Number(response.headers.get("x-headgate-queue-ms")),
    totalMs: performance.now() - sentAt,
  };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
