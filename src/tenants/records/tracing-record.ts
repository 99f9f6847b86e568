/** A tenant's tracing as an operator writes it: sampling, the embedded store, destinations. Pure. */

import * as z from "zod";
import { headersSchema } from "./account-record.ts";
import { findDestinationFaults, PRESET_NAMES } from "./destination-presets.ts";
import { recordName as NAME } from "./record-name.ts";
import { isMask } from "./sealing.ts";

const contentMode = z.enum(["off", "redacted", "full"]);

const destinationSchema = z
  .strictObject({
    name: NAME,
    preset: z.enum(PRESET_NAMES).default("otlp"),
    /** Where absent, the preset's own. */
    endpoint: z.url().optional(),
    headers: headersSchema,
    gzip: z.boolean().default(false),
    /** Whether prompts and answers are sent; never more than the tenant's own `content`. */
    content: contentMode.default("off"),
  })
  .superRefine((destination, context) => {
    for (const { path, message } of findDestinationFaults(destination, isMask)) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
  });

export type DestinationInput = z.infer<typeof destinationSchema>;

export const tracingSchema = z.strictObject({
  sampleRatio: z.number().min(0).max(1).default(1),
  alwaysKeep: z
    .array(z.enum(["error", "slow", "queued", "fallback"]))
    .default(["error", "slow", "queued", "fallback"]),
  slowMs: z.int().positive().default(10_000),
  content: contentMode.default("off"),
  store: z
    .strictObject({
      enabled: z.boolean().default(true),
      maxTraces: z.int().positive().max(1_000_000).default(10_000),
      maxAgeHours: z.int().positive().max(8760).default(72),
    })
    .prefault({}),
  destinations: z.array(destinationSchema).max(8).default([]),
});
