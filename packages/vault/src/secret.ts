/**
 * Secrets as they are stored (spec 3 §6.1).
 *
 *   V1. Each value says in which form it is. Writing takes the newest that the vault can; reading takes every form there ever was, so
 *       that a later form, or a second key, needs no migration.
 *   V2. What was altered, cut off, or sealed with another key is refused, never half read.
 *   V3. No error says anything of a key or a value (I10).
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const PLAIN = 0;
const AES_256_GCM = 1;

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface SealedSecret {
  /** The form of `value`. */
  readonly version: number;
  readonly value: Buffer;
}

/** A stored secret cannot be read. The message is all there is: what went wrong inside would lead to the value. */
export class SecretUnreadable extends Error {
  override get name(): string {
    return 'SecretUnreadable';
  }
}

type Open = (value: Buffer, key: Buffer | null) => Buffer;

/** How each form is read (V1). */
const FORMS: Readonly<Record<number, Open>> = {
  [PLAIN]: (value) => value,
  [AES_256_GCM]: (value, key) => {
    if (key === null) throw new SecretUnreadable('the secret is encrypted, and there is no key');
    return decrypted(value, key);
  },
};

/** Seals and opens secrets with one key, or with none: then they are stored as they are, and what is encrypted stays shut. */
export class Vault {
  readonly #key: Buffer | null;

  constructor(key: Buffer | null) {
    this.#key = key;
  }

  /** Whether what is sealed now is encrypted. */
  get encrypts(): boolean {
    return this.#key !== null;
  }

  seal(text: string): SealedSecret {
    const plain = Buffer.from(text);
    return this.#key === null ? { version: PLAIN, value: plain } : { version: AES_256_GCM, value: encrypted(plain, this.#key) };
  }

  /** @throws SecretUnreadable */
  open({ version, value }: SealedSecret): string {
    const form = FORMS[version];
    if (form === undefined) throw new SecretUnreadable('the secret is of a form that is not known here');
    return form(value, this.#key).toString();
  }
}

/** Nonce, ciphertext, tag. */
function encrypted(plain: Buffer, key: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypted(value: Buffer, key: Buffer): Buffer {
  if (value.length < NONCE_BYTES + TAG_BYTES) throw new SecretUnreadable('the secret is cut off');
  const decipher = createDecipheriv(CIPHER, key, value.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(value.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(value.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    throw new SecretUnreadable('the secret does not decrypt'); // V3: not even the cause
  }
}
