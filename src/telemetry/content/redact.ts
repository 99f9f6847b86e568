/**
 * Masks e-mail addresses, card numbers and credentials in captured content. When in doubt it masks. Pure, and
 * linear in the text's length.
 *
 * It matches patterns only: names, addresses and secrets in plain words stay. Content that must not be exported
 * needs the mode `off`.
 */

import { BASIC_AUTHORIZATION, BEARER_IN_TEXT, KEYS_IN_TEXT } from "../../runtime/credential-patterns.ts";

const EMAIL = "[email]";
const CARD = "[card]";
const SECRET = "[secret]";

/** RFC 5321, labels of 63 characters. The search begins only at the start of a local part, which keeps it linear. */
const EMAIL_PATTERN =
  /(?<![\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-])[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]+@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})+/gu;

const PRIVATE_KEY =
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g;

const SECRET_WORDS =
  "api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|secret[_-]?key|access[_-]?token|auth[_-]?token|" +
  "refresh[_-]?token|password|passwd|passphrase|secret|authorization|credentials?";
/** `password=…`, `"api_key": "…"`. The name may end with the word: `OPENAI_API_KEY=…`. */
export const SECRET_ASSIGNMENT = new RegExp(
  `((?:${SECRET_WORDS})["']?\\s{0,4}[:=]\\s{0,4}["']?)[^\\s"',;&}{]{4,}`,
  "gi",
);
export const SECRET_FIELD_NAME = new RegExp(
  `(?:^|[_-])(?:${SECRET_WORDS}|token)$|^(?:${SECRET_WORDS})$`,
  "i",
);

/** The text with e-mail addresses, cards and credentials masked. */
export function redactText(text: string): string {
  const withoutKeys = text
    .replaceAll(PRIVATE_KEY, SECRET)
    .replaceAll(KEYS_IN_TEXT, SECRET)
    // The scheme stays: it says what was there.
    .replaceAll(BEARER_IN_TEXT, `$1$2${SECRET}`)
    .replaceAll(BASIC_AUTHORIZATION, `$1$2${SECRET}`)
    .replaceAll(SECRET_ASSIGNMENT, `$1${SECRET}`);
  return maskCards(withoutKeys.replaceAll(EMAIL_PATTERN, EMAIL));
}

/** Whether a field of this name holds a secret, whatever it looks like. */
export function isSecretField(name: string): boolean {
  return SECRET_FIELD_NAME.test(name);
}

/** A number, masked if it is a card: cards can be JSON numbers too. */
export function redactNumber(value: number): number | string {
  const text = String(value);
  return /^\d+$/.test(text) && maskCards(text) !== text ? CARD : value;
}

/** Replaces a secret field's value. */
export const MASKED_SECRET = SECRET;

/** ISO/IEC 7812: 13 to 19 digits; the first names the industry, and payment cards begin with 2 to 6. */
const MIN_CARD_DIGITS = 13;
const MAX_CARD_DIGITS = 19;
/** Digits that may be one number: written together, or in groups. */
const DIGIT_RUN = /\d(?:[ \u00a0.-]?\d){12,}/g;

function maskCards(text: string): string {
  return text.replaceAll(DIGIT_RUN, maskRun);
}

/**
 * A run may contain a card among other numbers ("1 4111 1111 1111 1111"): each sequence of whole groups is
 * checked.
 */
function maskRun(run: string): string {
  const groups = [...run.matchAll(/\d+/g)].map(({ 0: digits, index }) => ({ digits, index }));
  let masked = "";
  let doneTo = 0;
  for (let from = 0; from < groups.length; from++) {
    const to = findCardEnd(groups, from);
    const first = groups[from];
    const last = to === undefined ? undefined : groups[to];
    if (to === undefined || first === undefined || last === undefined) continue;
    masked += run.slice(doneTo, first.index) + CARD;
    doneTo = last.index + last.digits.length;
    from = to;
  }
  return masked + run.slice(doneTo);
}

/** The last group of a card that begins with this group; undefined when none does. */
function findCardEnd(groups: readonly { readonly digits: string }[], from: number): number | undefined {
  let digits = "";
  let end: number | undefined;
  for (let at = from; at < groups.length && digits.length < MAX_CARD_DIGITS; at++) {
    digits += groups[at]?.digits ?? "";
    if (digits.length >= MIN_CARD_DIGITS && digits.length <= MAX_CARD_DIGITS && isCard(digits)) end = at;
  }
  return end;
}

function isCard(digits: string): boolean {
  return /^[2-6]/.test(digits) && passesLuhn(digits);
}

/** ISO/IEC 7812-1, annex B. */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at]);
    const weighted = at % 2 === 0 ? digit : digit * 2;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return sum % 10 === 0;
}
