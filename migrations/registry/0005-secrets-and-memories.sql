-- Secrets of workspaces, as the vault sealed them; `version` is the form of `value` (spec 3 §6.1). Not facts, so not rebuilt.
create table workspace_secrets (
  workspace_id uuid not null,
  key          text not null,
  version      smallint not null,
  value        bytea not null,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  primary key (workspace_id, key)
);

-- What workspaces remember, secrets taken out (spec 2 §7.10). Not facts, so not rebuilt.
create table memories (
  id           uuid primary key,
  workspace_id uuid not null,
  namespace    text not null,
  scope        text not null check (scope in ('LOCAL', 'TEAM', 'GLOBAL')),
  content      text not null,
  created_at   timestamptz not null
);
create index memories_of_workspace on memories (workspace_id, created_at desc);
