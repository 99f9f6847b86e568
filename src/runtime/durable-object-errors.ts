/**
 * What the platform says about a failed call to a Durable Object, read from the marks on the error:
 * https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ (seen 2026-11).
 */

/** The object has more calls than it can take. Repeating the call at once makes it worse. */
export function isOverloaded(thrown: unknown): boolean {
  return hasMark(thrown, "overloaded");
}

/** The call failed on its way or the object was restarted: repeat it once, with a new stub. */
export function isRetryable(thrown: unknown): boolean {
  return !isOverloaded(thrown) && (hasMark(thrown, "retryable") || hasMark(thrown, "durableObjectReset"));
}

/** The error was thrown by the object's own code. */
export function isRemote(thrown: unknown): boolean {
  return hasMark(thrown, "remote");
}

function hasMark(thrown: unknown, mark: string): boolean {
  return typeof thrown === "object" && thrown !== null && Reflect.get(thrown, mark) === true;
}
