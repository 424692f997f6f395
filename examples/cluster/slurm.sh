#!/usr/bin/env bash
# A job's workers as a Slurm array: each task answers its share of the shards.
#
#   digits-job plan job ./scans
#   sbatch examples/cluster/slurm.sh job
#   digits-job finish job --out preds.csv       # when all tasks have ended
#
# Each task loads the model itself (install digits with the serve extra), unless DIGITS_SERVER names servers. To do the
# rest after a failure, submit the same line again: what is done is not done twice.
#SBATCH --job-name=digits
#SBATCH --array=0-15
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=digits-%A_%a.log
set -euo pipefail

job=${1:?which job: sbatch slurm.sh JOB}
where=()
[[ -n ${DIGITS_SERVER:-} ]] || where=(--in-process)

# The task's index is in SLURM_ARRAY_TASK_ID.
exec digits-job work "$job" --of "$SLURM_ARRAY_TASK_COUNT" "${where[@]}"
