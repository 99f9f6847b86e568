/** An answer without its account's credential, for accounts with `scrubAnswers`: to the client, and to the cache. */

import { createSecretFilter, starSecrets } from "../../bytes/secret-filter.ts";
import type { Answered, Ended } from "../ended.ts";

/** `secrets` are the account's own. */
export function scrubAnswer(answered: Answered, secrets: readonly string[]): Answered {
  const { generation, ended } = answered;
  // The bytes are those of the text before.
  const { body, bytes: _unscrubbed, ...head } = generation;
  const isWhole = typeof body === "string";
  return {
    ...answered,
    generation: {
      ...head,
      body: isWhole ? starSecrets(body, secrets) : body.pipeThrough(createSecretFilter(secrets)),
    },
    ended:
      ended instanceof Promise ? ended.then((end) => scrubKept(end, secrets)) : scrubKept(ended, secrets),
  };
}

function scrubKept(ended: Ended, secrets: readonly string[]): Ended {
  if (ended.kind === "whole") return { ...ended, body: starSecrets(ended.body, secrets) };
  if (ended.kind !== "stream") return ended;
  const { sent } = ended;
  if (sent === undefined) return ended;
  return {
    ...ended,
    sent() {
      const text = sent();
      return text === undefined ? undefined : starSecrets(text, secrets);
    },
  };
}
