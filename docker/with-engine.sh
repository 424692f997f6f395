#!/usr/bin/env bash
# Run a command with a container engine: one that answers, or else one that ../shared/tools/container-engine.sh starts
# and that is stopped again afterwards.
#
#   docker/with-engine.sh COMMAND...
#
# Ends as the command does, or with 69 where no engine can be had.
set -euo pipefail

LEAST_DISK_GB=12

# compose.yaml's depends_on has `required`, which came with 2.20.
answers() {
  docker info >/dev/null 2>&1 &&
    printf '%s\n' 2.20 "$(docker compose version --short 2>/dev/null | sed 's/^v//')" | sort --check=quiet --version-sort
}

unavailable() {
  echo "no container engine can be had here: $1" >&2
  exit 69
}

starter=$(dirname "$0")/../../shared/tools/container-engine.sh
if ! answers; then
  [[ -x $starter ]] || unavailable "Docker with Compose 2.20 or newer does not answer"
  eval "$("$starter" env)"
  if ! answers; then
    trap '"$starter" down' EXIT
    # Its start may need a second try.
    "$starter" up || "$starter" up || unavailable "it does not start"
    answers || unavailable "it does not answer"
  fi
fi
# The server's image is made of TensorFlow, from PyPI.
free=$(df --output=avail --block-size=G "$(docker info --format '{{.DockerRootDir}}')" 2>/dev/null | tail -n 1 | tr -dc 0-9)
[[ ${free:-$LEAST_DISK_GB} -ge $LEAST_DISK_GB ]] || unavailable "it has $free GB of disk left, and images need $LEAST_DISK_GB"
reaches_pypi() {
  local image
  image=$(printf 'FROM python:3.11-slim-bookworm\nRUN python -m pip download --quiet --no-deps --dest /tmp rich\n' |
    docker build --quiet --no-cache -) && docker rmi --force "$image" >/dev/null
}
reaches_pypi || reaches_pypi || unavailable "its containers do not reach PyPI"
"$@"
