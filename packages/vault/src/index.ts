/** The public surface of @molecule/vault: secrets at rest, and what must not be seen of them. */
export {};
