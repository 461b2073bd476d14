-- Changes while the connector reads. Each statement is a transaction of its own unless it stands in one.
insert into app.organisations(id, name, "parentId", status, notes) values (5, 'Dunlin Freight Ltd', 1, 'active', app.long('dunlin'));
-- A child before its parent.
insert into app.organisations(id, name, "parentId", status) values (7, 'Fulmar Marine SA', 6, 'active');
insert into app.organisations(id, name, status) values (6, 'Egret Group SE', 'active');
-- Large values are left alone.
update app.organisations set status = 'suspended', "updatedAt" = '2024-05-01 00:00:00+00' where id = 1;
update app.organisations set status = 'archived' where id = 4;
update app.contacts set role = 'Chair' where id = 'c0a80001-0000-4000-8000-000000000001';
-- A large value is written, and emptied.
update app.organisations set notes = app.long('again') where id = 1;
update app.organisations set notes = null where id = 5;
update app.contacts set "organisationId" = 5 where id = 'c0a80001-0000-4000-8000-000000000002';
update app.contacts set "organisationId" = null where id = 'c0a80001-0000-4000-8000-000000000001';
update app.contacts set "organisationId" = 1 where id = 'c0a80001-0000-4000-8000-000000000001';
-- Keys change; the events of the new keys lack the large values.
update app.organisations set id = 33 where id = 3;
update app.organisations set id = 11, name = 'Aldergate Group plc' where id = 1;
update app.organisations set "parentId" = 11 where "parentId" = 1;
update app.contacts set "organisationId" = 11 where "organisationId" = 1;
update app.contacts set id = 'c0a80001-0000-4000-8000-000000000077' where id = 'c0a80001-0000-4000-8000-000000000002';
-- A row twice in one transaction, a transaction that is rolled back, one in part.
begin;
insert into app.organisations(id, name, "parentId", status) values (8, 'Gannet Foods BV', 11, 'active');
insert into app.contacts(id, "organisationId", "firstName", "lastName") values
  ('c0a80001-0000-4000-8000-000000000004', 8, 'Gerrit', 'Haan'), ('c0a80001-0000-4000-8000-000000000005', 8, 'Wies', 'Haan');
update app.organisations set name = 'Gannet Foods NV' where id = 8;
commit;
begin; insert into app.organisations(id, name) values (90, 'Never Was Ltd'); update app.organisations set name = 'Wrong' where id = 2; rollback;
begin; insert into app.organisations(id, name) values (9, 'Heron Labs Oy'); savepoint a;
update app.organisations set name = 'Wrong' where id = 9; rollback to a; update app.organisations set status = 'active' where id = 9; commit;
-- Deletions, and one whose row comes again.
delete from app.contacts where id = 'c0a80001-0000-4000-8000-000000000003';
update app.organisations set "parentId" = 2 where "parentId" = 6;
delete from app.organisations where id = 6;
delete from app.organisations where id = 9;
insert into app.organisations(id, name, status) values (9, 'Heron Laboratories Oy', 'active');
-- Messages of an application are no changes of rows.
select pg_logical_emit_message(true, 'tributary', '{"hello":1}');
-- A new column; only the snapshot that follows tells its value in old rows.
alter table app.organisations add column region text default 'EMEA', add column "vatNumber" varchar(20);
update app.organisations set "vatNumber" = 'GB123456789' where id = 11;
insert into app.organisations(id, name, region) values (10, 'Ibis Analytics Inc', 'AMER');
insert into app.signal values ('again', 'execute-snapshot', '{"data-collections":["app.organisations"],"type":"incremental"}');
-- Events of an outbox; the rows are taken away in the same transaction, as the pattern says.
begin;
insert into app.outbox(aggregatetype, aggregateid, type, payload) values
  ('organisations', 'o-1', 'OrganisationCreated', '{"id": "o-1", "name": "Aldergate", "tags": ["uk"], "website": "https://a.example"}'),
  ('organisations', 'o-2', 'OrganisationCreated', '{"name": "Brightwater", "parentId": "o-1"}');
delete from app.outbox;
commit;
insert into app.outbox(aggregatetype, aggregateid, type, payload) values
  ('organisations', 'o-1', 'com.acme.organisation.renamed.v2', '{"name": "Aldergate Group", "website": null}'),
  ('organisations', 'o-2', 'OrganisationDeleted', null);
