// What a request can ask for, by names that clients.ts (how each wire says it) and upstreams.ts (what each wire must then
// receive) share. One place, so that a feature without a cell doesn't compile.

/** In the order of the tables in src/providers/README.md. */
export const FEATURES = [
  "system prompt",
  "several turns",
  "image by URL",
  "image inline",
  "document inline",
  "tool definitions",
  "tool choice: some tool",
  "tool choice: one tool",
  "tool choice: none",
  "one call at a time",
  "parallel calls and their results",
  "JSON by a schema",
  "JSON without a schema",
  "reasoning effort",
  "no reasoning",
  "limit of tokens",
  "temperature and top_p",
  "top_k",
  "stop sequences",
  "seed",
  "penalties",
  "log probabilities",
  "two choices",
  "prompt-cache mark",
  "end user",
] as const;

export type Feature = (typeof FEATURES)[number];

/** What all wires and wires say in the same words. */
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
} as const;
export const IMAGE_URL = "https://images.test/cat.png";
export const IMAGE = "iVBORw0KGgo=";
export const PDF = "JVBERi0xLjc=";
