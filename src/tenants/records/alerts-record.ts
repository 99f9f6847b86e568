/** Where a tenant's alerts go, as an operator writes it. Pure. */

import * as z from "zod/mini";
import { isMask } from "./sealing.ts";

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (seen 2026-11). */
const SECRET_PREFIX = "whsec_";
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

function isSigningSecret(text: string): boolean {
  if (!text.startsWith(SECRET_PREFIX)) return false;
  try {
    const { length } = atob(text.slice(SECRET_PREFIX.length));
    return length >= MIN_SECRET_BYTES && length <= MAX_SECRET_BYTES;
  } catch {
    return false;
  }
}

export const alertsSchema = z.strictObject({
  webhook: z.strictObject({
    url: z.url(),
    /** `slack`: a text, as Slack's incoming webhooks take it. Absent: `json`. */
    format: z.exactOptional(z.enum(["json", "slack"])),
    /** Write-only: GET shows a mask, which keeps the stored one when it is sent back. */
    secret: z
      .string()
      .check(
        z.refine(
          (text) => isMask(text) || isSigningSecret(text),
          'must be "whsec_" and the base64 of 24 to 64 random bytes',
        ),
      ),
  }),
});

/** Of at most 6 %: an alert comes at 14.4 times of it, which would be more than all. */
const allowedShare = z.number().check(z.gt(0), z.lte(0.06));
const MAX_OBJECTIVES = 20;
const MAX_MS = 3_600_000;

/** What a tenant expects of its requests: few that fail, or few that are slow. */
export const objectivesSchema = z
  .array(
    z
      .strictObject({
        /** A route's name, or `provider/model`; absent: all requests. */
        route: z.exactOptional(z.string().check(z.minLength(1), z.maxLength(256))),
        maxErrorShare: z.exactOptional(allowedShare),
        maxSlowShare: z.exactOptional(allowedShare),
        slowerThanMs: z.exactOptional(z.int().check(z.positive(), z.lte(MAX_MS))),
      })
      .check(
        z.refine(
          ({ maxErrorShare, maxSlowShare, slowerThanMs }) =>
            (maxErrorShare === undefined) === (maxSlowShare !== undefined) &&
            (maxSlowShare === undefined) === (slowerThanMs === undefined),
          "must have maxErrorShare, or maxSlowShare and slowerThanMs",
        ),
      ),
  )
  .check(z.maxLength(MAX_OBJECTIVES));
export type ObjectiveRecord = z.infer<typeof objectivesSchema>[number];

type Alerts = z.infer<typeof alertsSchema>;

/** The same with its secret as `Secret`: sealed when stored, masked when shown. */
export interface AlertsWith<Secret> {
  readonly webhook: Omit<Alerts["webhook"], "secret"> & { readonly secret: Secret };
}
