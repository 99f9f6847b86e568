/**
 * The one check of names that a client or a record puts into a URL, a header or a log: model names, options of an
 * account, labels. Whether a whole address may be called is public-url.ts. Pure.
 */

/**
 * Control characters, line separators, bidirectional controls (they make a log line read in another order, Unicode
 * UAX 9) and lone surrogates. Joiners, which emoji and some scripts need, are not among them.
 */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/u;

/** What nearly all names look like; needs no further look. */
const PLAIN = /^(?:[\w:@-][\w:@.-]*\/)*[\w:@-][\w:@.-]*$/;

/** What is wrong with a name, as the end of a sentence; undefined when nothing is. */
export function findNameFault(name: string): string | undefined {
  if (PLAIN.test(name)) return undefined;
  if (name.includes("\\")) return "must not contain a backslash";
  const readings = readingsOf(name);
  if ((readings ?? [name]).some(hasUnsafeCharacters))
    return "must not contain control or bidirectional characters, in any encoding";
  if (readings === undefined || readings.some(climbs))
    return "must not contain the path segments '.' and '..', in any encoding";
  return undefined;
}

/** Whether a label would break a header or a log line, or change how it reads. */
export function hasUnsafeCharacters(text: string): boolean {
  return UNSAFE.test(text);
}

/** Servers differ in how often they decode a path, so each reading of it must stay below its root. */
const MAX_DECODINGS = 3;

/** A text as it is and as a server may decode it; undefined for an encoding that can't be read, or has no end. */
export function readingsOf(text: string): readonly string[] | undefined {
  const readings = [text];
  for (let last = text; readings.length <= MAX_DECODINGS + 1;) {
    const decoded = decode(last);
    if (decoded === undefined) return undefined;
    if (decoded === last) return readings;
    readings.push(decoded);
    last = decoded;
  }
  return undefined;
}

/** Whether a relative path has a `.` or `..` segment in some encoding, or an encoding that can't be read. */
export function leavesBase(path: string): boolean {
  return readingsOf(path)?.some(climbs) ?? true;
}

/** Some servers cut a segment at what follows the dots: `..;x`, `.. `, `..` and a NUL. */
function climbs(path: string): boolean {
  return path.split(/[\\/]/).some((segment) => /^\.\.?(?![\p{L}\p{N}._-])/u.test(segment));
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
