/**
 * Entity tags of records and the `if-match` header (RFC 9110, 13.1.1). A record's tag is its revision: the tenant's
 * version at its last change. Pure.
 */

import { GatewayError } from "../../errors.ts";

/** `"7"`, a strong tag. */
export function toEtag(revision: number): string {
  return `"${revision}"`;
}

/** Throws `precondition_failed` where the record is not the revision that the writer has read; undefined: there is no record. */
export function checkIfMatch(ifMatch: string | undefined, revision: number | undefined): void {
  if (meetsIfMatch(ifMatch, revision)) return;
  throw new GatewayError(
    "precondition_failed",
    "The record has changed since it was read. Read it again, then repeat the change.",
    {
      param: "if-match",
    },
  );
}

function meetsIfMatch(ifMatch: string | undefined, revision: number | undefined): boolean {
  if (ifMatch === undefined) return true;
  if (revision === undefined) return false;
  if (ifMatch.trim() === "*") return true;
  // Weak tags never match: If-Match uses the strong comparison.
  const tag = toEtag(revision);
  return ifMatch.split(",").some((candidate) => candidate.trim() === tag);
}
