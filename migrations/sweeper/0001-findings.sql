-- What the sweeper found and did, for operators. Rebuilt from the log at any time.
create table finding_list (
  fact_id  uuid primary key,
  kind     text not null,
  about    text not null,
  evidence jsonb not null,
  found_at timestamptz not null
);
create index finding_list_newest on finding_list (found_at desc);
