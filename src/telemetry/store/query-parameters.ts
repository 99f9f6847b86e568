/** Parameters of a query string: a wrong or unknown one is a 400 that names it, since a misspelt filter must not be ignored. Pure. */

import { GatewayError } from "../../errors.ts";

export function wrongParameter(name: string, fault: string): GatewayError {
  return new GatewayError("invalid_request", `The parameter '${name}' ${fault}.`, { param: name });
}

/** Throws `invalid_request` for a parameter that `isKnown` refuses, or that is there twice. `names` is what the message lists. */
export function checkNames(
  parameters: URLSearchParams,
  isKnown: (name: string) => boolean,
  names: readonly string[],
): void {
  for (const name of parameters.keys()) {
    if (!isKnown(name)) throw wrongParameter(name, `is unknown. Use ${names.join(", ")}`);
    if (parameters.getAll(name).length > 1) throw wrongParameter(name, "is given more than once");
  }
}

/** A date with a time and an offset: without an offset the time would be ambiguous. */
const ISO_8601 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;
const AGE = /^(\d{1,6})(s|m|h|d)$/;
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time in ISO 8601, or how long ago it was (`90s`, `15m`, `1h`, `7d`): ms since the epoch. */
export function parseTime(text: string, name: string, now: number): number {
  const [, count, unit = ""] = AGE.exec(text) ?? [];
  if (count !== undefined) return Math.max(0, now - Number(count) * (UNIT_MS[unit] ?? 0));
  // An unencoded plus sign of an offset arrives as a space.
  const written = text.replace(" ", "+");
  const at = ISO_8601.test(written) ? Date.parse(written) : Number.NaN;
  if (Number.isNaN(at) || at < 0)
    throw wrongParameter(
      name,
      "must be a time in ISO 8601 such as 2026-11-25T09:30:00Z, or an age such as 15m, 1h or 7d",
    );
  return at;
}
