/**
 * Provider kind `sim`: the OpenAI chat wire, answered inside the Worker by server.ts instead of a network. It is what a
 * fresh checkout talks to, and how faults are tried out: src/docs/http-api.md, Local development.
 */

import { createOpenAiCompatible } from "../openai-compatible.ts";
import type { Provider } from "../provider.ts";
import { createSimServer } from "./server.ts";

/** What a small model costs at its vendor's, so that a first trace shows a cost: $0.15 and $0.60 per million tokens. */
const PLAY_MONEY = { input: 150_000, output: 600_000 };

export const sim: Provider = {
  ...createOpenAiCompatible({
    kind: "sim",
    vendor: "sim",
    // Never resolved: `.invalid` is reserved (RFC 2606), so that a call that missed the local server can't leave.
    defaultBaseUrl: "https://sim.invalid/v1",
    takesStreamOptions: true,
    local: createSimServer(),
  }),
  listPrice: PLAY_MONEY,
};
