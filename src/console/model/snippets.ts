/** How each SDK and agent is pointed at this gateway, to copy. Pure. */

export interface Snippet {
  readonly name: string;
  readonly text: string;
}

/** `origin` without a trailing slash; `model` is a route or `provider/model`. */
export function snippetsFor({
  origin,
  key,
  model,
}: {
  readonly origin: string;
  readonly key: string;
  readonly model: string;
}): readonly Snippet[] {
  const body = `{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}`;
  return [
    { name: "OpenAI SDK", text: `new OpenAI({ baseURL: "${origin}/v1", apiKey: "${key}" })` },
    { name: "Anthropic SDK", text: `new Anthropic({ baseURL: "${origin}", apiKey: "${key}" })` },
    {
      name: "Google SDK",
      text: `new GoogleGenAI({ apiKey: "${key}", httpOptions: { baseUrl: "${origin}" } })`,
    },
    {
      name: "curl",
      text: `curl ${origin}/v1/chat/completions \\\n  -H 'authorization: Bearer ${key}' \\\n  -H 'content-type: application/json' \\\n  -d '${body}'`,
    },
    {
      name: "Claude Code",
      text: `ANTHROPIC_BASE_URL=${origin} ANTHROPIC_AUTH_TOKEN=${key} claude --model ${model}`,
    },
  ];
}
