-- After how many idle minutes a workspace is put to sleep; null: never. Rebuilt from the log at any time.
alter table workspaces add column hibernation_idle_minutes integer;

-- A purge is a fact now, and takes the rows with it.
delete from workspaces using purged_workspaces where purged_workspaces.workspace_id = workspaces.workspace_id;
drop table purged_workspaces;

-- What a workspace's page was configured with (spec 1 §1.10). Written as it comes: a document, not facts, so not rebuilt.
create table workspace_config (
  workspace_id uuid primary key,
  document     jsonb not null check (jsonb_typeof(document) = 'object')
);

-- Agents by workspace, past ones too (spec 1 §1.9). Rebuilt from the log at any time.
create table agents (
  id             uuid primary key,
  workspace_id   uuid not null,
  model          text not null,
  status         text not null check (status in ('active', 'replaced', 'removed')),
  removed_at     timestamptz,
  removal_reason text,
  created_at     timestamptz not null
);
create unique index agents_active on agents (workspace_id) where status = 'active';
create index agents_of_workspace on agents (workspace_id);

-- Where everybody's canvas looks: one record for all (spec 1 §1.10). Not facts, so not rebuilt.
create table canvas_viewport (
  only_one boolean primary key default true check (only_one),
  x        double precision not null,
  y        double precision not null,
  zoom     double precision not null
);
