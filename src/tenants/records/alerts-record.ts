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

type Alerts = z.infer<typeof alertsSchema>;

/** The same with its secret as `Secret`: sealed when stored, masked when shown. */
export interface AlertsWith<Secret> {
  readonly webhook: Omit<Alerts["webhook"], "secret"> & { readonly secret: Secret };
}
