#!/usr/bin/env bash
# Make a database cluster at the first start, then become the server.
#
# Keeps the contract that the official image documents: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB,
# POSTGRES_INITDB_ARGS, POSTGRES_INITDB_WALDIR, POSTGRES_HOST_AUTH_METHOD, each of the first four also as ..._FILE;
# /docker-entrypoint-initdb.d is run once by a server that listens on the Unix socket only.
set -Eeuo pipefail

# NAME from its variable or from the file that NAME_FILE names, not both; exported, with a default.
from_variable_or_file() {
  local name=$1 default=${2-} file_name=${1}_FILE
  if [[ -n ${!name-} && -n ${!file_name-} ]]; then
    echo "error: both $name and $file_name are set, only one of them may be" >&2
    exit 1
  fi
  if [[ -n ${!file_name-} ]]; then
    export "$name=$(<"${!file_name}")"
  else
    export "$name=${!name:-$default}"
  fi
  unset "$file_name"
}

read_settings() {
  from_variable_or_file POSTGRES_PASSWORD
  from_variable_or_file POSTGRES_USER postgres
  from_variable_or_file POSTGRES_DB "$POSTGRES_USER"
  from_variable_or_file POSTGRES_INITDB_ARGS
  : "${POSTGRES_HOST_AUTH_METHOD:=}"
}

prepare_folders() {
  mkdir -p "$PGDATA" /var/run/postgresql
  chmod 700 "$PGDATA" 2>/dev/null || true
  chmod 3777 /var/run/postgresql 2>/dev/null || true
  if [[ -n ${POSTGRES_INITDB_WALDIR-} ]]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    chmod 700 "$POSTGRES_INITDB_WALDIR"
  fi
  if (($(id -u) == 0)); then
    find "$PGDATA" ! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql ! -user postgres -exec chown postgres '{}' +
    if [[ -n ${POSTGRES_INITDB_WALDIR-} ]]; then chown -R postgres "$POSTGRES_INITDB_WALDIR"; fi
  fi
}

refuse_without_password() {
  if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
    cat >&2 <<'TEXT'
Error: Database is uninitialized and superuser password is not specified.
       Set POSTGRES_PASSWORD to a non-empty value, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in.
TEXT
    exit 1
  fi
}

# From 18 on the data is kept below its own major: a volume of the old layout would stay unused, and is refused.
refuse_old_layout() {
  local folder found=()
  if [[ $PGDATA != "/var/lib/postgresql/$PG_MAJOR/docker" ]]; then return; fi
  for folder in /var/lib/postgresql /var/lib/postgresql/data /var/lib/postgresql/*/docker; do
    if [[ -s $folder/PG_VERSION ]]; then found+=("$folder"); fi
  done
  if ((${#found[@]} == 0)) && mountpoint -q /var/lib/postgresql/data; then
    found=('/var/lib/postgresql/data (unused mount/volume)')
  fi
  if ((${#found[@]})); then
    cat >&2 <<TEXT
Error: this image keeps its data in $PGDATA, but there appears to be PostgreSQL data in:
       ${found[*]}
       Mount one volume at /var/lib/postgresql, and move the data with pg_upgrade or a dump.
TEXT
    exit 1
  fi
}

make_cluster() {
  local walls=()
  if [[ -n ${POSTGRES_INITDB_WALDIR-} ]]; then walls=(--waldir "$POSTGRES_INITDB_WALDIR"); fi
  # The arguments are shell words, quotes included; the password comes over a pipe, never as an argument.
  eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") "${walls[@]}" '"$POSTGRES_INITDB_ARGS"
  local method=$POSTGRES_HOST_AUTH_METHOD
  printf '\nhost all all all %s\n' "${method:-$(postgres -C password_encryption -D "$PGDATA")}" >>"$PGDATA/pg_hba.conf"
}

# psql against the server that only listens on its socket, stopping at the first error.
first_psql() {
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

make_database() {
  if [[ $POSTGRES_DB == postgres ]]; then return; fi
  local there
  there=$(first_psql --dbname postgres --set name="$POSTGRES_DB" --tuples-only --no-align \
    <<<"SELECT 1 FROM pg_database WHERE datname = :'name'")
  if [[ -z $there ]]; then
    first_psql --dbname postgres --set name="$POSTGRES_DB" <<<'CREATE DATABASE :"name"'
  fi
}

run_first_scripts() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh)
        echo "$0: running $file"
        # shellcheck disable=SC1090
        if [[ -x $file ]]; then "$file"; else . "$file"; fi
        ;;
      *.sql) echo "$0: running $file" && first_psql --dbname "$POSTGRES_DB" -f "$file" ;;
      *.sql.gz) echo "$0: running $file" && gunzip -c "$file" | first_psql --dbname "$POSTGRES_DB" ;;
      *.sql.xz) echo "$0: running $file" && xzcat "$file" | first_psql --dbname "$POSTGRES_DB" ;;
      *.sql.zst) echo "$0: running $file" && zstd -dc "$file" | first_psql --dbname "$POSTGRES_DB" ;;
      */\*) ;;
      *) echo "$0: ignoring $file" ;;
    esac
  done
}

start_on_socket_only() {
  local words
  printf -v words '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}"
  NOTIFY_SOCKET='' PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -o "$words" -w start
}

first_start() {
  refuse_without_password
  refuse_old_layout
  make_cluster
  export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
  start_on_socket_only "${@:2}"
  make_database
  run_first_scripts
  PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
  printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

asks_for_help() {
  local word
  for word in "$@"; do
    case $word in -'?' | --help | --describe-config | -V | --version) return 0 ;; esac
  done
  return 1
}

if [[ ${1-} == -* ]]; then set -- postgres "$@"; fi
if [[ ${1-} == postgres ]] && ! asks_for_help "$@"; then
  read_settings
  prepare_folders
  if (($(id -u) == 0)); then
    exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/var/lib/postgresql "$BASH_SOURCE" "$@"
  fi
  if [[ -s $PGDATA/PG_VERSION ]]; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
  else
    first_start "$@"
  fi
fi
exec "$@"
