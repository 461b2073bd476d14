-- The tables, and the rows that a first snapshot finds.
create schema app;
create type app.segment as enum ('small', 'large');
create table app.organisations (
  id bigint primary key, name text, "parentId" bigint, type text, status text, website text, phone text, address jsonb,
  tags text[], revenue numeric(18, 2), rating numeric, founded date, "opensAt" time, active boolean, segment app.segment,
  "externalId" uuid, details jsonb, logo bytea, notes text, "renewedAt" timestamp, "createdAt" timestamptz, "updatedAt" timestamptz);
create table app.contacts (
  id uuid primary key, "organisationId" bigint, "firstName" text, "lastName" text, email text, role text, tags text[],
  salary numeric(12, 4), "birthDate" date, bio text, "createdAt" timestamptz);
create table app.signal (id varchar(42) primary key, type varchar(32) not null, data varchar(2048));
create table app.outbox (id uuid primary key default gen_random_uuid(), aggregatetype text not null, aggregateid text not null,
  type text not null, payload jsonb);
-- Out of line rather than compressed: a change that leaves such a value alone does not hold it.
alter table app.organisations alter column notes set storage external, alter column tags set storage external,
  alter column logo set storage external, alter column details set storage external;
alter table app.contacts alter column bio set storage external;
-- Every other table's changes hold the whole row that was before.
alter table app.contacts replica identity full;
create function app.long(seed text) returns text language sql as
  $$ select string_agg(md5(seed || i), ' ') from generate_series(1, 90) i $$;

insert into app.organisations values
  (1, 'Aldergate Holdings plc', null, 'customer', 'active', 'https://aldergate.example', '+44 20 7946 0001',
   '{"street": "1 Foundry Row", "city": "Leeds", "postcode": "LS1 4AB", "country": "GB"}', '{key,uk}', 1234567890.12, 4.25,
   '1987-03-09', '08:30:00', true, 'large', '0b8f2e64-0000-4000-8000-00000000a001', '{"floors": [1, 2.50]}', '\xdeadbeef',
   app.long('aldergate'), '2024-02-01 10:11:12.654321', '2024-01-05 09:30:00.123456+00', '2024-02-01 10:11:12+02'),
  (2, 'Brightwater Zoë & Søn A/S', 1, 'partner', 'active', null, '+45 32 12 34 56', '{"city": "København", "country": "DK"}',
   '{}', -0.01, 99999999999999999999.123456789, '0004-02-29', '23:59:59.999999', false, 'small', null, null, '\x', null, null,
   '1969-12-31 23:59:59.999999+00', null),
  (3, E'Curlew "Quoted" \\ Backslash GmbH', 2, 'prospect', 'dormant', null, null, null, '{"with space","with,comma","ünïcode 🚢"}',
   null, null, null, null, null, null, null, null, null, E'line one\nline two', null, null, null);
insert into app.organisations(id, name, status, details, tags, logo, notes) select 4, 'Jackdaw Archives', 'active',
  jsonb_build_object('text', app.long('jd')), array(select 'tag-' || md5('jt' || i) from generate_series(1, 90) i),
  decode(repeat(md5('jb'), 90), 'hex'), app.long('jn');
insert into app.contacts values
  ('c0a80001-0000-4000-8000-000000000001', 1, 'Nadia', 'Okonkwo', 'nadia@aldergate.example', 'CTO', '{vip}', 98765.4321,
   '1980-07-14', app.long('nadia'), '2024-01-05 09:31:00+00'),
  ('c0a80001-0000-4000-8000-000000000002', 2, 'Søren', 'Ångström', 'soren@brightwater.example', 'Captain', '{}', null, null, null, null),
  ('c0a80001-0000-4000-8000-000000000003', null, 'Ida', 'Loose', null, null, null, null, null, null, null);
