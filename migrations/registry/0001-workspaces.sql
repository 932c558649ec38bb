-- Every workspace as routes, peers and the directory show it. Rebuilt from the log at any time; removed ones stay.
create table workspaces (
  workspace_id         uuid primary key,
  version              integer not null,
  name                 text not null,
  role                 text,
  tier                 integer not null,
  runtime              text not null,
  external             boolean not null,
  parent_id            uuid,
  status               text not null check (status in ('provisioning', 'online', 'degraded', 'offline', 'failed', 'paused',
                                                       'hibernating', 'hibernated', 'awaiting_agent', 'removed')),
  status_since         timestamptz not null,
  -- What the last change of status said went wrong, and when: it competes with what beats say.
  status_error         text,
  status_error_at      timestamptz,
  url                  text not null,
  internal_url         text not null,
  agent_card           jsonb,
  registered_at        timestamptz,
  template             text not null,
  model                text not null,
  workspace_dir        text,
  workspace_access     text not null,
  awareness_namespace  text not null,
  max_concurrent_tasks integer not null,
  budget_limit         bigint,
  x                    double precision not null,
  y                    double precision not null,
  collapsed            boolean not null,
  created_at           timestamptz not null,
  updated_at           timestamptz not null
);
create index workspaces_by_age on workspaces (created_at, workspace_id) where status <> 'removed';
create index workspaces_by_parent on workspaces (parent_id);
create index workspaces_by_prefix on workspaces ((left(workspace_id::text, 12)));

-- Tokens, live and dead. Only hashes: the plaintext is nowhere. Rebuilt from the log at any time.
create table tokens (
  token_id     uuid primary key,
  workspace_id uuid not null,
  hash         text not null,
  prefix       text not null,
  issued_by    text not null,
  issued_at    timestamptz not null,
  revoked_at   timestamptz
);
create index tokens_live on tokens (workspace_id) where revoked_at is null;

-- The structure-event log of spec 1 §6.1, as far as the registry's own facts tell it. Rebuilt from the log at any time.
create table structure_events (
  event_id     uuid primary key,
  event_type   text not null,
  workspace_id uuid not null,
  payload      jsonb not null,
  -- Orders what one workspace said in one instant.
  version      integer not null,
  created_at   timestamptz not null
);
create index structure_events_newest on structure_events (created_at desc);
create index structure_events_of_workspace on structure_events (workspace_id, created_at desc);
