-- The stream that the relay has published into, so that it is noticed when it is lost, or comes back older than it was.
alter table relay
  add column target          text,
  add column target_sequence bigint not null default 0,
  -- Moves with each return to an earlier place: who does not know of it moves the place no further.
  add column returns         int not null default 0;

-- Which facts of others a reader has taken. A stream may be lost and filled again, its numbers with it; ids stay. In place of `positions`,
-- which older replicas still write.
create table heard (
  reader   text not null,
  fact_id  uuid not null,
  heard_at timestamptz not null default now(),
  primary key (reader, fact_id)
);
create index heard_by_age on heard (reader, heard_at);
