/**
 * Prices that an operator writes for a tenant in place of the list's: negotiated ones, and those of models that are on no
 * list (self-hosted, fine-tuned). US dollars per million tokens. Pure.
 */

import * as z from "zod";

/** More than any model costs, so that a price in the wrong unit is refused. */
const MAX_USD_PER_MILLION = 10_000;
const MAX_PRICES = 200;
const MAX_LABEL_CHARS = 256;

const MAX_USD_EACH = 100;
const usdEach = z.number().nonnegative().max(MAX_USD_EACH);
const usdPerMillion = z.number().nonnegative().max(MAX_USD_PER_MILLION);

const priceSchema = z.strictObject({
  input: usdPerMillion.default(0),
  output: usdPerMillion.default(0),
  /** Where absent, a cached token costs what an input token does. */
  cacheRead: usdPerMillion.exactOptional(),
  cacheWrite: usdPerMillion.exactOptional(),
  /** Where absent, audio costs what text does. */
  inputAudio: usdPerMillion.exactOptional(),
  outputAudio: usdPerMillion.exactOptional(),
  cacheReadAudio: usdPerMillion.exactOptional(),
  /** Images in the prompt; where absent, they cost what text does. */
  inputImage: usdPerMillion.exactOptional(),
  /** US dollars for each image made, each second of sound, and a million characters spoken. */
  perImage: usdEach.exactOptional(),
  perSecond: usdEach.exactOptional(),
  perMillionCharacters: usdPerMillion.exactOptional(),
});

/** By `provider/model` as a target names it, or `prefix*`; an exact name is used before a prefix, a longer prefix before a shorter. */
export const pricesSchema = z
  .record(
    z
      .string()
      .max(MAX_LABEL_CHARS)
      .regex(/^[^/*]+\/[^*]*\*?$/, "must be provider/model or provider/prefix*"),
    priceSchema,
  )
  .refine((prices) => Object.keys(prices).length <= MAX_PRICES, `must be at most ${MAX_PRICES}`);
