-- What runs for each workspace, as far as we started or stopped it. Rebuilt from the log at any time.
create table containers (
  workspace_id uuid primary key,
  run          integer not null,
  state        text not null check (state in ('starting', 'running', 'exited', 'stopped', 'failed')),
  backend      text not null,
  url          text not null,
  since        timestamptz not null
);
-- Recovery asks for starts without a result; the start of the platform for what should run.
create index containers_by_state on containers (state);

-- What a workload is made of, as the registry's facts told it: not ours, so it is not rebuilt here.
-- `version` is that of the workspace's stream: an older fact that comes again changes nothing.
create table blueprints (
  workspace_id        uuid primary key,
  version             integer not null,
  name                text not null,
  role                text,
  tier                integer not null,
  runtime             text not null,
  template            text not null,
  model               text not null,
  workspace_dir       text,
  workspace_access    text not null,
  awareness_namespace text not null
);
