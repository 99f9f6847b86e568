/**
 * The OpenAI-compatible vendors, one row each. Data only: a vendor that can't be said in a row earns a file of its own.
 * Read by registry.ts.
 */

import type { OpenAiCompatibleRow } from "./openai-compatible.ts";

export const OPENAI_COMPATIBLE_ROWS = [
  {
    kind: "openai",
    semconvName: "openai",
    defaultBaseUrl: "https://api.openai.com/v1",
    takesStreamOptions: true,
  },
  // Any other server of the same wire, at the account's own URL.
  { kind: "openai-compatible", semconvName: "openai_compatible", takesStreamOptions: true },
] as const satisfies readonly OpenAiCompatibleRow[];
