/** The parts of a record that are about an account elsewhere: credentials, headers, options, native calls. Pure. */

import * as z from "zod/mini";
import { urlName } from "./record-name.ts";

const MAX_SECRET_CHARS = 8192;
const MAX_HEADERS = 32;

/** What `fetch` takes as a header name (RFC 9110 token) and value; `…` is accepted because it marks a mask. */
const headerName = z
  .string()
  .check(z.maxLength(128), z.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "must be an HTTP header name"));
export const secretText = z
  .string()
  .check(z.maxLength(MAX_SECRET_CHARS), z.regex(/^[\t\x20-\x7e…]*$/, "must be printable ASCII"));

/** Headers may carry credentials, so each value is sealed as an API key is. */
export const headersSchema = z._default(
  z
    .record(headerName, secretText)
    .check(
      z.refine((headers) => Object.keys(headers).length <= MAX_HEADERS, `must be at most ${MAX_HEADERS}`),
    ),
  {},
);

/**
 * The calls of the vendor's own API that `/proxy` lets through: `POST v1/images/*`, method or `*` and a path behind the
 * base URL. Absent: none.
 */
export const nativeSchema = z.union([
  z.literal("all"),
  z
    .array(
      z.string().check(
        z.maxLength(256),
        z.regex(/^(?:\*|[A-Z]{3,10}) [^\s?#\\%]+$/, 'must be a method or * and a path: "POST v1/images/*"'),
        z.refine((call) => call.split("*").length <= 5, "must have at most four *"),
      ),
    )
    .check(z.maxLength(64)),
]);

/** Options that become a part of a host name. */
export const HOST_OPTIONS: readonly string[] = ["region", "location"];
const HOST_LABEL = /^[a-z0-9-]{1,40}$/;
/** Options that become a segment of a path. */
const PATH_OPTIONS: ReadonlySet<string> = new Set(["apiVersion", "accountId", "project", "deployment"]);
const PATH_SEGMENT = /^[^/?#@%\\]{1,128}$/;

export const optionsSchema = z.record(z.string(), z.union([urlName, z.number(), z.boolean()])).check(
  z.superRefine((options, context) => {
    for (const [name, value] of Object.entries(options)) {
      const pattern = HOST_OPTIONS.includes(name)
        ? HOST_LABEL
        : PATH_OPTIONS.has(name)
          ? PATH_SEGMENT
          : undefined;
      if (pattern === undefined || pattern.test(String(value))) continue;
      const rule =
        pattern === HOST_LABEL ? "must be 1 to 40 of a-z 0-9 -" : "must not contain any of / ? # @ % \\";
      context.addIssue({ code: "custom", path: [name], message: rule });
    }
  }),
);
