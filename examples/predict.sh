#!/usr/bin/env bash
# Another service asks for digits, by curl: REST, for digits-serve --rest_api_port=8501 or TensorFlow Serving itself.
#
#   predict.sh HOST:PORT IMAGE...
#
# Prints the answer: {"predictions": [{"digit": ..., "confidence": ..., ...}, ...]}, one object for each image.
set -euo pipefail
address=$1
shift
separator=""
{
    printf '{"instances": ['
    for image in "$@"; do
        printf '%s{"b64": "%s"}' "$separator" "$(base64 < "$image" | tr -d '\n')"
        separator=", "
    done
    printf ']}'
} | curl --silent --show-error --fail-with-body --data @- "http://$address/v1/models/digits:predict"
