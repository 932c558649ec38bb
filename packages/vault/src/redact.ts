/** Takes what looks like a secret out of a text that is to be kept (spec 3 §6.6). Pure. */

/** In this order. White space is that of ASCII: a no-break space does not end a secret. */
const PATTERNS = [
  [/\b[A-Z][A-Z0-9_]*_API_KEY[\t\n\f\r ]*=[\t\n\f\r ]*[^\t\n\f\r ]+/gi, 'API_KEY'],
  [/\b[A-Z][A-Z0-9_]*_TOKEN[\t\n\f\r ]*=[\t\n\f\r ]*[^\t\n\f\r ]+/gi, 'TOKEN'],
  [/\b[A-Z][A-Z0-9_]*_SECRET[\t\n\f\r ]*=[\t\n\f\r ]*[^\t\n\f\r ]+/gi, 'SECRET'],
  [/Bearer[\t\n\f\r ]+[^\t\n\f\r ]+/g, 'BEARER_TOKEN'],
  [/sk-[A-Za-z0-9\-_]{16,}/g, 'SK_TOKEN'],
  [/ctx7_[A-Za-z0-9]+/g, 'CTX7_TOKEN'],
  [/[A-Za-z0-9+/]{33,}={0,2}/g, 'BASE64_BLOB'],
] as const satisfies readonly (readonly [RegExp, string])[];

export const redact = (text: string): string =>
  PATTERNS.reduce((rest, [pattern, label]) => rest.replace(pattern, `[REDACTED:${label}]`), text);
