/** The names of tenants, providers, routes and destinations: they appear in URLs, KV keys and spans. */

import * as z from "zod";

export const recordName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "use 1 to 63 of a-z 0-9 . _ - and start with a letter or digit");
