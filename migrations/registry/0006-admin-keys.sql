-- Which admin token a session was opened with: it opens nothing once another has taken its place.
alter table sessions add column admin_key text;
