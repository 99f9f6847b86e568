/**
 * Prices as a tenant's operator writes them, in place of the list's: what was negotiated, and what models cost that no list
 * knows (a self-hosted one, a fine-tuned one). US dollars per million tokens. Pure.
 */

import * as z from "zod";

/** More than any model costs: a price per token by mistake, or one in cents, is refused. */
const MAX_USD_PER_MILLION = 10_000;
const MAX_PRICES = 200;
const MAX_LABEL_CHARS = 256;

const usdPerMillion = z.number().nonnegative().max(MAX_USD_PER_MILLION);

const priceSchema = z.strictObject({
  input: usdPerMillion,
  output: usdPerMillion.default(0),
  /** Where absent, a cached token costs what an input token does. */
  cacheRead: usdPerMillion.exactOptional(),
  cacheWrite: usdPerMillion.exactOptional(),
  /** Where absent, audio costs what text does. */
  inputAudio: usdPerMillion.exactOptional(),
  outputAudio: usdPerMillion.exactOptional(),
  cacheReadAudio: usdPerMillion.exactOptional(),
});

/** By `provider/model` as a target names it, or `prefix*`; the name itself counts before any prefix, the longest prefix first. */
export const pricesSchema = z
  .record(
    z
      .string()
      .max(MAX_LABEL_CHARS)
      .regex(/^[^/*]+\/[^*]*\*?$/, "must be provider/model or provider/prefix*"),
    priceSchema,
  )
  .refine((prices) => Object.keys(prices).length <= MAX_PRICES, `must be at most ${MAX_PRICES}`);
