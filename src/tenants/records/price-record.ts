/**
 * Prices that an operator writes for a tenant in place of the list's: negotiated ones, and those of models that are on no
 * list (self-hosted, fine-tuned). US dollars per million tokens. Pure.
 */

import * as z from "zod/mini";

/** More than any model costs, so that a price in the wrong unit is refused. */
const MAX_USD_PER_MILLION = 10_000;
const MAX_PRICES = 200;
const MAX_LABEL_CHARS = 256;

const MAX_USD_EACH = 100;
const usdEach = z.number().check(z.nonnegative(), z.maximum(MAX_USD_EACH));
const usdPerMillion = z.number().check(z.nonnegative(), z.maximum(MAX_USD_PER_MILLION));

const tokenFields = {
  input: z._default(usdPerMillion, 0),
  output: z._default(usdPerMillion, 0),
  /** Where absent, a cached token costs what an input token does. */
  cacheRead: z.exactOptional(usdPerMillion),
  cacheWrite: z.exactOptional(usdPerMillion),
  /** Where absent, twice the input. */
  cacheWriteHour: z.exactOptional(usdPerMillion),
  /** Where absent, audio costs what text does. */
  inputAudio: z.exactOptional(usdPerMillion),
  outputAudio: z.exactOptional(usdPerMillion),
  cacheReadAudio: z.exactOptional(usdPerMillion),
  /** Images in the prompt; where absent, they cost what text does. */
  inputImage: z.exactOptional(usdPerMillion),
};

const MAX_STEPS = 8;
const stepSchema = z.strictObject({ aboveInputTokens: z.int().check(z.positive()), ...tokenFields });

const priceSchema = z.strictObject({
  ...tokenFields,
  /** US dollars for each image made, each second of sound, and a million characters spoken. */
  perImage: z.exactOptional(usdEach),
  perSecond: z.exactOptional(usdEach),
  perMillionCharacters: z.exactOptional(usdPerMillion),
  /** US dollars a call of a vendor's own tool. */
  perWebSearch: z.exactOptional(usdEach),
  perFileSearch: z.exactOptional(usdEach),
  perCodeContainer: z.exactOptional(usdEach),
  /** Of a prompt with more tokens than that: the whole request has the prices of the step it reaches. */
  steps: z.exactOptional(
    z
      .array(stepSchema)
      .check(
        z.maxLength(MAX_STEPS),
        z.refine(isAscending, "must begin with the lowest aboveInputTokens, each once"),
      ),
  ),
});

function isAscending(steps: readonly { readonly aboveInputTokens: number }[]): boolean {
  return steps.every(({ aboveInputTokens }, at) => aboveInputTokens > (steps[at - 1]?.aboveInputTokens ?? 0));
}

/** By `provider/model` as a target names it, or `prefix*`; an exact name is used before a prefix, a longer prefix before a shorter. */
export const pricesSchema = z
  .record(
    z
      .string()
      .check(
        z.maxLength(MAX_LABEL_CHARS),
        z.regex(/^[^/*]+\/[^*]*\*?$/, "must be provider/model or provider/prefix*"),
      ),
    priceSchema,
  )
  .check(z.refine((prices) => Object.keys(prices).length <= MAX_PRICES, `must be at most ${MAX_PRICES}`));
