/** Tokens of the admin plane: what is sent to make one, what is stored, and what is shown. */

import * as z from "zod/mini";
import { labelText, recordName } from "../records/record-name.ts";
import { isTenantRole, ROLES } from "./roles.ts";

/** The body of `POST /admin/tokens`. */
export const tokenSchema = z
  .strictObject({
    name: labelText.check(z.minLength(1), z.maxLength(200)),
    role: z.enum(ROLES),
    /** Needed by the roles of one tenant, and taken by no other. */
    tenant: z.exactOptional(recordName),
    expiresAt: z.exactOptional(z.iso.datetime()),
  })
  .check(
    z.refine(({ role, tenant }) => isTenantRole(role) === (tenant !== undefined), {
      path: ["tenant"],
      error: "must be set for a tenant's roles, and for no other",
    }),
  );
export type TokenInput = z.infer<typeof tokenSchema>;

/** As it is stored, beside the SHA-256 of the token itself. */
export interface TokenRecord extends TokenInput {
  readonly id: string;
  /** ISO 8601 in UTC. */
  readonly createdAt: string;
  readonly masked: string;
}

/** As GET shows it. */
export interface TokenView extends TokenInput {
  readonly id: string;
  readonly createdAt: string;
  /** To the minute; null for a token that was never used. */
  readonly lastUsedAt: string | null;
  /** Masked, but for the answer that makes it. */
  readonly token: string;
}

/** `usedAtMs`: ms since the epoch. */
export function viewToken({ masked, ...shown }: TokenRecord, usedAtMs: number | null): TokenView {
  const lastUsedAt = usedAtMs === null ? null : new Date(usedAtMs).toISOString();
  return { ...shown, lastUsedAt, token: masked };
}
