/** A tenant's tracing as an operator writes it: sampling, the embedded store, destinations. Pure. */

import * as z from "zod/mini";
import { headersSchema } from "./account-record.ts";
import { ENCODINGS, findDestinationFaults, PRESET_NAMES } from "./destination-presets.ts";
import { recordName as NAME } from "./record-name.ts";
import { isMask } from "./sealing.ts";

const contentMode = z.enum(["off", "redacted", "full"]);

const destinationSchema = z
  .strictObject({
    name: NAME,
    preset: z._default(z.enum(PRESET_NAMES), "otlp"),
    /** Where absent, the preset's own. */
    endpoint: z.optional(z.url()),
    headers: headersSchema,
    gzip: z._default(z.boolean(), false),
    /** Of the bodies; where absent, the preset's. */
    encoding: z.optional(z.enum(ENCODINGS)),
    /** Whether prompts and answers are sent; never more than the tenant's own `content`. */
    content: z._default(contentMode, "off"),
  })
  .check(
    z.superRefine((destination, context) => {
      for (const { path, message } of findDestinationFaults(destination, isMask)) {
        context.addIssue({ code: "custom", path: [...path], message });
      }
    }),
  );

export type DestinationInput = z.infer<typeof destinationSchema>;

export const tracingSchema = z.strictObject({
  sampleRatio: z._default(z.number().check(z.minimum(0), z.maximum(1)), 1),
  alwaysKeep: z._default(z.array(z.enum(["error", "slow", "queued", "fallback"])), [
    "error",
    "slow",
    "queued",
    "fallback",
  ]),
  slowMs: z._default(z.int().check(z.positive()), 10_000),
  content: z._default(contentMode, "off"),
  store: z.prefault(
    z.strictObject({
      enabled: z._default(z.boolean(), true),
      maxTraces: z._default(z.int().check(z.positive(), z.maximum(1_000_000)), 10_000),
      maxAgeHours: z._default(z.int().check(z.positive(), z.maximum(8760)), 72),
    }),
    {},
  ),
  destinations: z._default(z.array(destinationSchema).check(z.maxLength(8)), []),
});
