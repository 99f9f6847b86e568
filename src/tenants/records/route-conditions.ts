/**
 * The conditions of a route's `when`, as a schema: a part of records.ts. What they mean is routing/conditions.ts.
 */

import * as z from "zod/mini";

/** What a request may need its model to be able to do: routing/needs.ts reads it from a request. */
const NEEDS = ["tools", "images", "documents", "audio", "json_schema", "reasoning"] as const;
export type Need = (typeof NEEDS)[number];

const tokens = z.int().check(z.nonnegative());
const labels = z.record(
  z.string().check(z.minLength(1), z.maxLength(64)),
  z.union([z.string(), z.array(z.string()).check(z.minLength(1), z.maxLength(32))]),
);
const clockTime = z.string().check(z.regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/, "must be a time as 08:30"));

/** The condition of a branch of `when`: all of its members must hold, and there is at least one. */
export const conditionSchema = z
  .strictObject({
    /** What the request needs its model to be able to do. */
    needs: z.optional(z.array(z.enum(NEEDS)).check(z.minLength(1))),
    /** Estimated size of the prompt, both bounds included. */
    promptTokens: z.optional(z.strictObject({ min: z.optional(tokens), max: z.optional(tokens) })),
    /** The request's labels: its key's own, else those of `x-headgate-metadata`. A value, or any of several. */
    metadata: z.optional(labels),
    /** Only what the operator wrote on the key: for what a client must not choose. */
    key: z.optional(z.strictObject({ metadata: labels })),
    time: z.optional(
      z.strictObject({
        days: z.optional(
          z.array(z.enum(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])).check(z.minLength(1)),
        ),
        from: z.optional(clockTime),
        to: z.optional(clockTime),
        /** An IANA name; UTC where absent. */
        timeZone: z.optional(z.string().check(z.refine(isTimeZone, "must be a time zone as Europe/Zurich"))),
      }),
    ),
  })
  .check(z.refine((condition) => Object.keys(condition).length > 0, "must have at least one condition"));

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
