-- Messages: what becomes of them is in the log (stream message.<id>); here is what they carry, and which of them wait.

-- Payloads (D10): the body of each message that was queued, as it goes to the agent. Not a read model: it cannot be rebuilt.
create table messages (
  message_id      uuid primary key,
  workspace_id    uuid not null,
  idempotency_key text,
  body            text not null,
  -- The message has not ended yet. Set and cleared in the transactions that append the facts.
  active          boolean not null default true,
  created_at      timestamptz not null default now()
);
-- At most one active message per workspace and key (spec 2 §2.2); the loser of a race reads the winner's id here.
create unique index messages_active_key on messages (workspace_id, idempotency_key) where active and idempotency_key is not null;
create index messages_ended on messages (created_at) where not active;

-- The order of arrival: never goes back, whatever clocks do.
create sequence arrivals;

-- The mailbox of every workspace. Rebuilt from the log at any time.
create table mailbox (
  message_id      uuid primary key,
  workspace_id    uuid not null,
  caller_id       uuid,
  source          text not null,
  priority        int not null,
  method          text not null,
  idempotency_key text,
  sequence        bigint not null,
  enqueued_at     timestamptz not null,
  dispatched_at   timestamptz,
  completed_at    timestamptz,
  attempts        int not null default 0,
  status          text not null check (status in ('queued', 'dispatched', 'completed', 'failed', 'dropped')),
  worker          text,
  last_error      text
);
create index mailbox_next on mailbox (workspace_id, priority desc, sequence) where status = 'queued';
create index mailbox_claimed on mailbox (workspace_id) where status = 'dispatched';

-- Which processes are alive, by this database's clock. What a dead one held is taken over.
create table workers (
  worker      text primary key,
  alive_until timestamptz not null,
  -- No direct call of this worker that is still open began before this.
  open_since  timestamptz not null
);
-- Finds the calls that a dead worker left open.
create index events_dispatched_by on events ((data ->> 'worker'), recorded_at) where type = 'a2a.dispatched';
