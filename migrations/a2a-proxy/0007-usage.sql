-- What replies say that they took, by workspace and UTC day (spec 2 §1.11, §7.5). What it costs is computed when it is asked for.
create table token_usage (
  workspace_id  uuid not null,
  day           date not null,
  input_tokens  bigint not null,
  output_tokens bigint not null,
  call_count    bigint not null,
  primary key (workspace_id, day)
);

-- Which portions have been added: one that is sent again, because its answer was lost, adds nothing.
create table usage_portions (
  id       uuid primary key,
  added_at timestamptz not null default now()
);
create index usage_portions_by_age on usage_portions using brin (added_at);

-- Searching through what a workspace did starts from its newest rows; activity_of_workspace serves that.
