-- What a waiting message says in headers besides its body, names and values in turn: it reaches the agent when the message does.
alter table messages add column headers text[] not null default '{}';
