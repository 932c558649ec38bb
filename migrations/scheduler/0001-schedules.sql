-- What is scheduled, as the routes list it and the tick claims it. Rebuilt from the log at any time.
create table schedule_list (
  schedule_id  uuid primary key,
  workspace_id uuid not null,
  name         text not null,
  cron_expr    text not null,
  timezone     text not null,
  enabled      boolean not null,
  source       text not null check (source in ('runtime', 'template')),
  next_run_at  timestamptz not null,
  last_run_at  timestamptz,
  run_count    integer not null default 0,
  last_status  text not null default '',
  last_error   text not null default '',
  empty_runs   integer not null default 0,
  worker       text,
  due_at       timestamptz,
  message_id   text,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  unique (workspace_id, name)
);
-- The tick asks for what is due and free; recovery asks for what is held.
create index schedule_list_due on schedule_list (next_run_at) where enabled and worker is null;
create index schedule_list_held on schedule_list (worker) where worker is not null;

-- Prompts are payload, not facts: this table is not rebuilt.
create table schedule_prompts (
  schedule_id uuid primary key,
  prompt      text not null,
  written_at  timestamptz not null default now()
);

-- Which scheduler processes are alive, by the database's clock: what a dead one held is taken over.
create table workers (
  worker      text primary key,
  alive_until timestamptz not null
);
