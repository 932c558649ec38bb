-- Org tokens, live and dead (spec 1 §4.8). Only hashes: the plaintext is nowhere. Rebuilt from the log at any time.
create table org_tokens (
  token_id   uuid primary key,
  hash       text not null,
  prefix     text not null,
  name       text not null,
  org_id     text not null,
  created_by text not null,
  issued_at  timestamptz not null,
  -- Orders what was issued in one instant.
  version    integer not null,
  revoked_at timestamptz
);
create index org_tokens_newest on org_tokens (issued_at desc, version desc) where revoked_at is null;

-- Canvas sessions, open and closed: the hash of the cookie, never the cookie. Rebuilt from the log at any time.
create table sessions (
  session_id uuid primary key,
  hash       text not null,
  -- `admin`, or `org` and the token it was opened with.
  opened_by  text not null check (opened_by in ('admin', 'org')),
  token_id   uuid,
  opened_at  timestamptz not null,
  expires_at timestamptz not null,
  closed_at  timestamptz
);
create index sessions_open on sessions (session_id) where closed_at is null;

-- Who was given and refused access, and by what, as an operator reads it: no hashes. Rebuilt from the log at any time.
create table access_log (
  fact_id      uuid primary key,
  type         text not null,
  workspace_id uuid,
  data         jsonb not null,
  -- Orders what one stream said in one instant.
  version      integer not null,
  recorded_at  timestamptz not null
);
create index access_log_newest on access_log (recorded_at desc, version desc);

-- When a token, of a workspace or of the organisation, opened a door last, as gateways report it now and then. Not facts, so not rebuilt.
create table token_uses (
  token_id     uuid primary key,
  last_used_at timestamptz not null
);
