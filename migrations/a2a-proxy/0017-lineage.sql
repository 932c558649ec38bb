-- Which calls led to a message that waits, so that it keeps its place among them; rebuilt from the log like the rest of the row.
alter table mailbox add column lineage jsonb;
-- The call that was open at the delegating workspace when it delegated.
alter table delegation_tasks add column origin jsonb;
