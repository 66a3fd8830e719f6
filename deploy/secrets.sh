#!/bin/sh
# Makes the secrets of compose.yaml in a directory: once, whole or not at all. Passwords, keys, and certificates of a CA whose own key
# is thrown away. Needs openssl. As root, each file is given to who reads it: the group 10001 is Sluice, 10002 Redis, 10003 who migrates.
set -eu
postgres=${POSTGRES_AT:-postgres:5432}
redis=${REDIS_AT:-redis:6379}
cd "$1"
if [ -e made ]; then exit 0; fi
umask 077

owner=$(openssl rand -hex 32)
app=$(openssl rand -hex 32)
redis_password=$(openssl rand -hex 32)
openssl rand -hex 32 >postgres_password
echo "$owner" >owner_password
echo "$app" >app_password
scheme=postgres
echo "$scheme://sluice_app:$app@$postgres/sluice?sslmode=verify-full" >database_url
echo "$scheme://sluice_owner:$owner@$postgres/sluice?sslmode=verify-full" >database_owner_url
echo "rediss://:$redis_password@$redis" >redis_url
for name in jwt_secret secrets_key audit_key; do openssl rand -base64 48 >"$name"; done
echo "$(openssl rand -base64 18)-Aa1" >admin_password

cat >redis.conf <<CONF
port 0
tls-port ${redis#*:}
tls-cert-file $1/redis.crt
tls-key-file $1/redis.key
tls-auth-clients no
requirepass $redis_password
save ""
appendonly no
# jobs must never be thrown out: they are few, and repaired from PostgreSQL
maxmemory-policy noeviction
CONF

key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -days 3650 -subj '/CN=Sluice fleet' -keyout ca.key -out ca.crt 2>/dev/null
for at in "postgres $postgres" "redis $redis"; do
  name=${at% *} host=${at#* }
  openssl req $key -subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
  echo "subjectAltName=DNS:${host%:*}" >"$name.ext"
  openssl x509 -req -days 3650 -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -extfile "$name.ext" -out "$name.crt" 2>/dev/null
done
rm -f ca.key ca.srl ./*.csr ./*.ext

if [ "$(id -u)" = 0 ]; then
  give() { chown "$1" "$2" && chmod "$3" "$2"; }
  chmod 0755 .
  for name in database_url redis_url jwt_secret secrets_key audit_key admin_password; do give root:10001 "$name" 0440; done
  give root:10003 database_owner_url 0440
  for name in redis.conf redis.key; do give root:10002 "$name" 0440; done
  for name in postgres.key postgres_password owner_password app_password; do give postgres:postgres "$name" 0400; done
fi
chmod 0444 ca.crt postgres.crt redis.crt
: >made
