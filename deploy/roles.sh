#!/bin/sh
# Run once by the postgres image, when its data directory is new: the database, the role that owns its tables, and the one that uses them.
set -eu
secrets=${SECRETS_DIR:-/run/secrets}
psql -v ON_ERROR_STOP=1 -U postgres -d postgres \
  -v owner="$(cat "$secrets/owner_password")" -v app="$(cat "$secrets/app_password")" <<'SQL'
create role sluice_owner login password :'owner';
create role sluice_app login password :'app';
create database sluice owner sluice_owner;
revoke all on database sluice from public;
grant connect on database sluice to sluice_app;
SQL
