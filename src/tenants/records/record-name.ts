/** What records may be called, and the texts of theirs that end up in URLs, headers, spans and logs. Pure. */

import * as z from "zod/mini";
import { findNameFault, hasUnsafeCharacters } from "../../runtime/safe-names.ts";

/** The names of tenants, providers, routes and destinations: they appear in URLs, KV keys and spans. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export const recordName = z
  .string()
  .check(z.regex(NAME_PATTERN, "use 1 to 63 of a-z 0-9 . _ - and start with a letter or digit"));

/** A name that goes into a URL: a model, a region, an API version. */
export const urlName = z.string().check(
  z.superRefine((name, context) => {
    const fault = findNameFault(name);
    if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
  }),
);

/** A text for people, which appears in spans, lists and logs. */
export const labelText = z
  .string()
  .check(
    z.refine((text) => !hasUnsafeCharacters(text), "must not contain control or bidirectional characters"),
  );
