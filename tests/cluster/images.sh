#!/usr/bin/env bash
# The images of a cluster without a registry, as archives that containerd imports. Usage: images.sh FOLDER BINARIES…
# Writes into FOLDER only what is not there yet; prints the archives, one a line.
set -euo pipefail

folder=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
# shellcheck source-path=SCRIPTDIR source=../../.ci/image/storage
. "$root/.ci/image/storage"
SUITE=bookworm
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
KEYRING=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

archive() { # archive CONTAINER FILE NAME: a container as an image in a file
  buildah commit --quiet --rm "$1" "$3" >&2
  buildah push --quiet "$3" "docker-archive:$2.unfinished:$3" >&2
  mv "$2.unfinished" "$2"
}

of_program() { # an image that is one static program
  local name=$1 program=$2 container
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$program" "/$name" >&2
  buildah config --entrypoint "[\"/$name\"]" --user 65532:65532 "$container"
  archive "$container" "$3" "localhost/$name:1"
}

of_servers() { # Postgres, PgBouncer and Redis of Debian, under the name that the stack gives Postgres
  local file=$1 debian container
  debian=$(mktemp -d)
  debootstrap --variant=minbase --force-check-gpg "--keyring=$KEYRING" \
    --include=postgresql,pgbouncer,redis-server "$SUITE" "$debian/files" "$MIRROR" >&2
  rm -rf "$debian"/files/var/{cache/apt,lib/apt/lists,log}/* "$debian"/files/var/lib/postgresql/*
  sed -i 's/^postgres:x:[0-9]*:[0-9]*:/postgres:x:999:999:/' "$debian/files/etc/passwd" # the official image's
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$debian/files" / >&2
  buildah add --quiet --chmod 755 "$container" "$here/postgres-entrypoint.sh" /usr/local/bin/docker-entrypoint.sh >&2
  rm -rf "$debian"
  buildah config --entrypoint '["docker-entrypoint.sh"]' --cmd postgres --stop-signal SIGINT \
    --env PGDATA=/var/lib/postgresql/data \
    --env PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  archive "$container" "$file" docker.io/library/postgres:17
}

of_application() {
  local file=$1 container
  "$root/.ci/image/here" "$file.layout" >&2
  rm -rf "$file.layout"
  container=$(buildah from --pull-never localhost/orders:here)
  archive "$container" "$file" docker.io/library/app-example:dev
}

key() { cksum | cut -d' ' -f1; }

mkdir -p "$folder"
for program in pause coredns metrics-server; do
  for binaries in "$@"; do
    [ -x "$binaries/$program" ] || continue
    file=$folder/$program-$(basename "$binaries").tar
    [ -e "$file" ] || of_program "$program" "$binaries/$program" "$file"
    echo "$file"
  done
done
file=$folder/servers-$(cat "$0" "$here/postgres-entrypoint.sh" | key).tar
[ -e "$file" ] || of_servers "$file"
echo "$file"
file=$folder/application-$(cd "$root" && git ls-files -z app-example runtime .ci/image ':!app-example/tests' | xargs -0 cksum | key).tar
[ -e "$file" ] || of_application "$file"
echo "$file"
