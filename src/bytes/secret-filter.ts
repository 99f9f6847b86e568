/**
 * Cuts known secrets out of text and out of a stream's bytes: each of their characters becomes `*`, so that lengths and the
 * text around stay as they are. Only these very secrets are found; patterns are wires/scrub-credentials.ts.
 */

const STAR = 0x2a;

/** The text without the secrets. */
export function starSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((left, secret) => left.replaceAll(secret, "*".repeat(secret.length)), text);
}

/**
 * A text that was cut at its end, without the beginning of a secret there, which a search for whole secrets misses. Whole ones
 * stay in it.
 */
export function withoutCutSecret(text: string, secrets: readonly string[]): string {
  // A whole secret may end as it begins.
  const starred = starSecrets(text, secrets);
  let end = text.length;
  for (const secret of secrets) {
    for (let at = Math.max(0, text.length - secret.length + 1); at < end; at += 1) {
      if (secret.startsWith(starred.slice(at))) end = at;
    }
  }
  return text.slice(0, end);
}

/** A stream without the secrets, also where they are split over its pieces. They are ASCII, and none is empty. */
export function createSecretFilter(secrets: readonly string[]): TransformStream<Uint8Array, Uint8Array> {
  const needles = secrets.map((secret) => new TextEncoder().encode(secret));
  let held: Uint8Array = new Uint8Array();
  return new TransformStream({
    transform(piece, controller) {
      // A copy: the piece may be shared with another branch of its stream.
      const bytes = new Uint8Array(held.length + piece.length);
      bytes.set(held);
      bytes.set(piece, held.length);
      let sureBytes = bytes.length;
      for (const needle of needles) sureBytes = Math.min(sureBytes, star(bytes, needle));
      held = bytes.subarray(sureBytes);
      if (sureBytes > 0) controller.enqueue(bytes.subarray(0, sureBytes));
    },
    flush(controller) {
      if (held.length > 0) controller.enqueue(held);
    },
  });
}

/** Returns where the last bytes begin that may be the beginning of the secret; the length where none are. */
function star(bytes: Uint8Array, needle: Uint8Array): number {
  const [first] = needle;
  if (first === undefined) return bytes.length;
  for (let at = bytes.indexOf(first); at !== -1; at = bytes.indexOf(first, at + 1)) {
    let equal = 1;
    while (equal < needle.length && bytes[at + equal] === needle[equal]) equal += 1;
    if (equal === needle.length) bytes.fill(STAR, at, at + equal);
    else if (at + equal === bytes.length) return at;
  }
  return bytes.length;
}
