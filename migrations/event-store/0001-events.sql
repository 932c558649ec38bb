-- The log of facts (design §5), and what its readers remember. Applied into each service's own schema, before the service's files.
create table events (
  position       bigint generated always as identity,
  transaction_id xid8 not null default pg_current_xact_id(),
  id             uuid not null,
  stream         text not null,
  version        int not null check (version > 0),
  type           text not null,
  schema         int not null,
  -- The how-manieth fact of its command: 1, 2, 3 …
  nth            int not null check (nth > 0),
  data           jsonb not null,
  -- workspaceId, commandId, and, where known, correlationId, causationId, traceparent.
  meta           jsonb not null check (meta ? 'workspaceId' and meta ? 'commandId'),
  recorded_at    timestamptz not null,
  -- The order in which readers follow the log; transactions become visible in no particular order of `position`.
  constraint events_order primary key (transaction_id, position),
  constraint events_id unique (id),
  constraint events_version unique (stream, version)
);
-- A command stores its facts once in a stream, however often it arrives.
create unique index events_command on events (stream, (meta ->> 'commandId'), nth);

-- Where a stream's fold had got to. May be deleted at any time: what is missing, damaged or of another fold is folded anew.
create table snapshots (
  stream   text primary key,
  version  int not null,
  fold     text not null,
  -- JSON as it was written: the checksum covers these very characters.
  state    text not null,
  checksum text not null
);

-- How far the relay has published the log.
create table relay (
  name           text primary key,
  transaction_id xid8 not null,
  position       bigint not null
);

-- How far readers have got in what they hear from others; moves in the transaction that stores what was heard.
create table positions (
  reader   text not null,
  source   text not null,
  position bigint not null,
  primary key (reader, source)
);
