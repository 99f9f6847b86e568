/** The match rules of @pydantic/genai-prices as ids and patterns of our price sheets. Pure; an unknown shape is an error. */

import type { MatchLogic } from "@pydantic/genai-prices";

/** Ids can't hold what a sheet's lines are made of. */
const RESERVED = /[\s|*`$\\]/;

/** A match rule as ids and patterns of a sheet. */
export function readMatch(match: MatchLogic): readonly string[] {
  if ("or" in match) return match.or.flatMap(readMatch);
  // Written as "starts with …, but not -tts": the -tts models have rows of their own, and the longer literal wins.
  if ("and" in match) return match.and.filter((each) => !isExclusion(each)).flatMap(readMatch);
  if ("equals" in match) return [readLiteral(match.equals)];
  if ("starts_with" in match) return [`${readLiteral(match.starts_with)}*`];
  if ("ends_with" in match) return [`*${readLiteral(match.ends_with)}`];
  if ("contains" in match) return [`*${readLiteral(match.contains)}*`];
  return readRegex(match.regex);
}

function isExclusion(match: MatchLogic): boolean {
  return "regex" in match && match.regex.startsWith("^(?!");
}

/**
 * The two shapes the catalogue uses: an id and a date (the look-up takes dates off itself), an id and any
 * digit.
 */
function readRegex(regex: string): readonly string[] {
  const dated = /^\^([\w./\\-]+)-(?:\\d\{8\}|\\d\{4\}-\\d\{2\}-\\d\{2\})\$$/.exec(regex)?.[1];
  if (dated !== undefined) return [readLiteral(dated.replaceAll("\\.", "."))];
  const numbered = /^\^([\w./\\-]+)\\d$/.exec(regex)?.[1];
  if (numbered === undefined) throw new Error(`A match rule of a new shape: ${regex}`);
  const literal = readLiteral(numbered.replaceAll("\\.", "."));
  return Array.from({ length: 10 }, (_, digit) => `${literal}${digit}*`);
}

function readLiteral(text: string): string {
  if (RESERVED.test(text)) throw new Error(`An id that a sheet can't hold: ${text}`);
  return text.toLowerCase();
}
