-- What beats said last, written in batches (D6). Not facts, so not rebuilt: a restart starts from here and from the last beats.
create table workspace_vitals (
  workspace_id   uuid primary key,
  last_beat_at   timestamptz not null,
  active_tasks   integer not null,
  error_rate     double precision not null,
  sample_error   text not null,
  uptime_seconds bigint not null,
  current_task   text not null,
  monthly_spend  bigint not null
);

-- Structure events that other services' facts tell, heard over the bus; the position heard is stored with them.
create table foreign_events (
  event_id     uuid primary key,
  event_type   text not null,
  workspace_id uuid not null,
  payload      jsonb not null,
  version      integer not null,
  created_at   timestamptz not null
);
create index foreign_events_newest on foreign_events (created_at desc);
create index foreign_events_of_workspace on foreign_events (workspace_id, created_at desc);

-- The latest start of each workspace's runtime that the provisioner spoke of: what it says of earlier ones comes too late.
create table container_runs (
  workspace_id uuid primary key,
  run          integer not null
);

-- Workspaces whose rows were asked to be deleted. Their facts stay in the log, which is append-only; every reader passes over them.
create table purged_workspaces (
  workspace_id uuid primary key,
  purged_at    timestamptz not null
);
