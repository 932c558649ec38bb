/** What `SECRETS_ENCRYPTION_KEY` says (spec 3 §6.1). Pure. */

export const KEY_BYTES = 32;
/** Standard base64, padded. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What a service that does not start without a key says of one that is missing or invalid. */
export const KEY_WANTED = 'a key of 32 bytes in base64, because MOLECULE_ENV is production';

export type KeyReading =
  | { readonly kind: 'missing' | 'invalid' }
  /** 32 bytes. */
  | { readonly kind: 'key'; readonly key: Buffer };

/**
 * Base64 of 32 bytes; only what is not base64 at all may be the 32 bytes themselves. A raw text of 32 characters that happens to be
 * base64 is 24 bytes, and no key: taking it raw would be another key than every other reader of the same setting has.
 */
export function readEncryptionKey(text: string | undefined): KeyReading {
  if (text === undefined || text === '') return { kind: 'missing' };
  const key = Buffer.from(text, BASE64.test(text) ? 'base64' : 'utf8');
  return key.length === KEY_BYTES ? { kind: 'key', key } : { kind: 'invalid' };
}
