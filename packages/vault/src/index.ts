/** The public surface of @molecule/vault: secrets at rest, what must not be seen of them, and tokens as everybody but their holder knows them. */
export { KEY_WANTED, type KeyReading, readEncryptionKey } from './key.ts';
export { redact } from './redact.ts';
export { type SealedSecret, SecretUnreadable, Vault } from './secret.ts';
export { fingerprint, type MintedToken, mintToken, tokenHash } from './token.ts';
