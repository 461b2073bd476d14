-- After the incremental snapshot.
update app.organisations set phone = '+44 20 7946 0002' where id = 11;
alter table app.contacts drop column salary;
truncate app.contacts;
insert into app.contacts(id, "organisationId", "firstName", "lastName", bio) values
  ('c0a80001-0000-4000-8000-000000000001', 11, 'Nadia', 'Again', app.long('nadia')),
  ('c0a80001-0000-4000-8000-000000000009', 4, 'After', 'Truncate', null);
update app.contacts set role = 'Chair' where id = 'c0a80001-0000-4000-8000-000000000001';
insert into app.organisations(id, name) values (1000, 'The Last of All');
