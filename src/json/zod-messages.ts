/**
 * What zod says of a fault, in the words of our other messages: `must be a number, not string`. `zod/mini` brings no words of its
 * own. Imported by what shows them to clients or operators.
 */

import * as z from "zod/mini";

type Issue = Parameters<NonNullable<NonNullable<ReturnType<typeof z.config>["localeError"]>>>[0];

z.config({ localeError: describe });

function describe(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? "is required"
        : `must be of type ${issue.expected}, not ${typeOf(issue.input)}`;
    case "invalid_value":
      return `must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "too_big":
      return bound(issue.origin, issue.inclusive === true ? "at most" : "less than", issue.maximum);
    case "too_small":
      return bound(issue.origin, issue.inclusive === true ? "at least" : "more than", issue.minimum);
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "unrecognized_keys":
      return `has fields that are not known: ${issue.keys.join(", ")}`;
    case "invalid_format":
      return issue.format === "regex"
        ? `must match ${String(issue["pattern"])}`
        : `is not a valid ${issue.format}`;
    case "invalid_union":
    case "invalid_key":
    case "invalid_element":
    case "custom":
      return "is not valid";
  }
}

const COUNTED: Readonly<Record<string, string>> = {
  string: "characters",
  array: "items",
  map: "entries",
  set: "items",
};

function bound(origin: string, how: string, limit: number | bigint): string {
  const unit = COUNTED[origin];
  return unit === undefined ? `must be ${how} ${limit}` : `must have ${how} ${limit} ${unit}`;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
