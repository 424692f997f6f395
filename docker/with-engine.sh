#!/usr/bin/env bash
# Run a command with a container engine: one that answers, or else one that ../shared/tools/container-engine.sh starts
# and that is stopped again afterwards.
#
#   docker/with-engine.sh COMMAND...
#
# Ends as the command does, or with 69 where no engine can be had.
set -euo pipefail

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
"$@"
