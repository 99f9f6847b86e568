/** Bytes in hex. */

/** The two digits of each byte: a table look-up is all that hex costs on a request's path. */
export const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);
