#!/bin/bash
# What users of the official image rely on: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (and …_FILE),
# POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD, PGDATA, /docker-entrypoint-initdb.d, any user.
set -Eeuo pipefail

from_file() { # NAME DEFAULT
  local file=$1_FILE
  if [ -n "${!file:-}" ]; then export "$1=$(<"${!file}")"; else export "$1=${!1:-$2}"; fi
  unset "$file"
}

case ${1:-postgres} in -*) set -- postgres "$@" ;; esac
wants_help=
for argument; do case $argument in -'?' | --help | --version | -V | --describe-config) wants_help=1 ;; esac; done

if [ "${1:-}" = postgres ] && [ -z "$wants_help" ]; then
  mkdir -p "$PGDATA"
  if [ "$(id -u)" = 0 ]; then
    mkdir -p /var/run/postgresql
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres:postgres {} +
    chmod 700 "$PGDATA"
    chmod 3775 /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
  fi
  chmod 700 "$PGDATA" 2>/dev/null || :

  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    from_file POSTGRES_PASSWORD ''
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS ''
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
      cat >&2 <<'MESSAGE'
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".
MESSAGE
      exit 1
    fi
    eval "arguments=($POSTGRES_INITDB_ARGS)"
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${arguments[@]+"${arguments[@]}"}
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

    # Reachable from inside alone until all is laid out.
    pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
    query() { PGPASSWORD=$POSTGRES_PASSWORD psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" "$@"; }
    if [ "$POSTGRES_DB" != postgres ]; then
      query --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    fi
    for file in /docker-entrypoint-initdb.d/*; do
      case $file in
        *.sh)
          printf '%s: running %s\n' "$0" "$file"
          # shellcheck source=/dev/null
          if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
        *.sql) printf '%s: running %s\n' "$0" "$file"; query --dbname "$POSTGRES_DB" -f "$file" ;;
        *.sql.gz) printf '%s: running %s\n' "$0" "$file"; gunzip -c "$file" | query --dbname "$POSTGRES_DB" ;;
        */\*) ;;
        *) printf '%s: ignoring %s\n' "$0" "$file" ;;
      esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    echo
    echo 'PostgreSQL init process complete; ready for start up.'
    echo
  fi
  unset POSTGRES_PASSWORD
fi
exec "$@"
