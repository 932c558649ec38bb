-- Queued messages can be followed: what their senders may read of them until they end, and of the reply.

-- The agent's reply to a message of the mailbox, for whoever follows it: gone with the body, by retention or with the workspace.
alter table messages
  -- As the agent wrote it; null: none, or larger than is kept.
  add column reply         text,
  add column reply_is_json boolean,
  -- How many bytes it had.
  add column reply_bytes   int,
  -- Of the request that was queued, if it was part of a trace (W3C).
  add column traceparent   text;

alter table mailbox add column expires_at timestamptz;
-- What was dropped says why.
update mailbox set last_error = events.data ->> 'reason'
from events
where events.stream = 'message.' || mailbox.message_id and events.type = 'a2a.dropped' and mailbox.status = 'dropped';

create index mailbox_expiring on mailbox (expires_at) where status = 'queued' and expires_at is not null;
-- Finds what ended last in a workspace's mailbox.
create index mailbox_ended on mailbox (workspace_id, completed_at desc, message_id) where completed_at is not null;
