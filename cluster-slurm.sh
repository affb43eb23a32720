#!/usr/bin/env bash
# One study on the nodes of a SLURM job: begun, or gone on with where an earlier job left it. docs/slurm.md says more.
#
#     sbatch cluster-slurm.sh night --space cifar_ae --trials 64   # from this folder; a name, then words of `study run`
#     sbatch --array=0-4 cluster-slurm.sh night-%a --space cifar_ae --seed %a    # five studies; %a is the task's number
#
# Before its wall limit the job leaves the study in order, queues itself again and goes on: at most the epochs in flight
# are lost. A node that dies gives its trials to the others. What the site has is chosen below, each line marked CHOOSE;
# words of `sbatch` itself, such as --partition or --account, go before this file's name, or in lines like these:
#SBATCH --job-name=study
#SBATCH --nodes=2                 # CHOOSE
#SBATCH --cpus-per-task=8         # CHOOSE: of each node
#SBATCH --time=04:00:00           # CHOOSE: of one go; a study may take many
##SBATCH --gpus-per-node=1        # CHOOSE: one # less for a job with GPUs
#SBATCH --ntasks-per-node=1
#SBATCH --output=study-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --signal=B:USR1@60
set -euo pipefail

# CHOOSE, here or in the environment of sbatch:
STORAGE=${STUDY_STORAGE:-$HOME/study-results}        # the folder that studies are written to, which every node mounts
VENV=${STUDY_VENV:-$SLURM_SUBMIT_DIR/.venv}          # the virtual environment, which every node mounts, too
export STUDY_DATA=${STUDY_DATA:-$HOME/.cache/study-data}  # where data sets lie, as compute nodes seldom can download
SCRATCH=${STUDY_SCRATCH:-/tmp}                       # on a node's own disk; short, as the paths of sockets may be
GOES=${STUDY_GOES:-20}                               # the most that a study costs is so many times the wall limit
# As SLURM is asked for it: one task of every array has the array's own number, and that means all of its tasks.
JOB=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
JOB=${JOB:-$SLURM_JOB_ID}
NODE_FOLDER=$SCRATCH/study-$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}

fail() { echo "cluster-slurm.sh: $1" >&2; exit 2; }

[ "${SLURM_RESTART_COUNT:-0}" -lt "$GOES" ] || fail "the job has begun GOES=$GOES times; sent again it goes on"
cd "$SLURM_SUBMIT_DIR"
[ -f study/run.py ] || fail "$PWD is not the project's folder; submit the job from there"
[ -x "$VENV/bin/ray" ] || fail "VENV $VENV has no Ray; it is made as the README says"
[[ ${1:--} != -* ]] || fail "the study's name comes first, as in: sbatch cluster-slurm.sh night --space cifar_ae"
set -- "${@//%a/${SLURM_ARRAY_TASK_ID:-%a}}"
name=$1; shift
mkdir -p "$STORAGE" && STORAGE=$(cd "$STORAGE" && pwd)
export PATH="$VENV/bin:$PATH" PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
# A database for each study: several jobs that write one by a network file system may break it. A server of the site's
# own is MLFLOW_TRACKING_URI=http://... in the environment of sbatch.
export MLFLOW_TRACKING_URI=${MLFLOW_TRACKING_URI:-sqlite:///$STORAGE/$name.mlflow.db}
# Ray listens on the network that the site's users share. The token is this job's alone, and on no disk.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0  # it would wait half a minute for requests that nobody sends
unset RAY_ADDRESS

# Ray on the node that runs this, until it is told to end. Every port is a free one, as a node may have several jobs.
# (`ray symmetric-run` would be shorter, but ends with `ray stop`, which stops the Ray of all of a user's jobs there.)
# Its files lie in a folder of the user's alone: Ray opens its own to everybody.
node() {
    local ray="" ended=""
    mkdir -m 700 "$NODE_FOLDER" || exit
    export TMPDIR=$NODE_FOLDER
    trap 'ended=1; [ -z "$ray" ] || kill $ray 2> /dev/null || true' TERM
    for _ in 1 2 3 4 5; do  # starts, of which each has the 30 s that Ray gives it: a busy node may need more
        ray start --temp-dir="$NODE_FOLDER/r" --num-cpus="$SLURM_CPUS_ON_NODE" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" \
            --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0 --block "$@" &> "$NODE_FOLDER/log" &
        ray=$!
        until wait $ray || ! kill -0 $ray 2> /dev/null; do :; done
        [ -z "$ended" ] && [ ! -s "$NODE_FOLDER/r/ray_current_cluster" ] || break
    done
    [ -n "$ended" ] || { echo "$(hostname): Ray has ended:"; tail -n 20 "$NODE_FOLDER/log"; } >&2
    rm -rf "$NODE_FOLDER"
}

# The same on the others, with the head's address. A job whose first node dies SLURM leaves as it is, with nobody in
# charge until its wall limit (of --no-kill), and Ray may wait longer still: a node that has not reached the head for
# a minute or two queues the job again.
other_node() {
    await_death_of "$1" &
    local watch=$!
    node --address="$1" || true
    kill $watch 2> /dev/null || true
}

await_death_of() {
    local missed=0
    while [ $missed -lt 3 ]; do
        sleep 20
        missed=$((missed + 1))
        timeout 10 bash -c ": > /dev/tcp/${1%:*}/${1##*:}" 2> /dev/null && missed=0
    done
    echo "$(hostname): there is no head at $1 any more: the job is queued again" >&2
    scontrol requeue "$JOB"
}

leaving="" child="" head=""
leave() {  # what runs may have ended by itself meanwhile
    leaving=$1
    [ -z "$child" ] || kill -TERM "$child" 2> /dev/null || true
}
trap 'leave again' USR1
trap 'leave ended' TERM

# A command beside which the signals are heard; its exit status.
attended() {
    [ -z "$leaving" ] || return 130
    local status=0
    "$@" & child=$!
    [ -z "$leaving" ] || leave "$leaving"
    wait $child || status=$?
    while kill -0 $child 2> /dev/null; do status=0; wait $child || status=$?; done  # a signal has ended the wait
    child=""
    return $status
}

free_port() { python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }

head_is_up() {
    until [ -s "$NODE_FOLDER/r/ray_current_cluster" ]; do
        kill -0 $head 2> /dev/null || exit 1
        sleep 0.2
    done
}

go() {
    node --head --port=0 --ray-client-server-port="$(free_port)" --dashboard-host=127.0.0.1 &
    head=$!
    attended head_is_up || return
    address=$(cat "$NODE_FOLDER/r/ray_current_cluster")
    # A step for each node, so that one which dies takes no other with it.
    for host in $(scontrol show hostnames "$SLURM_JOB_NODELIST" | grep -vx "$SLURMD_NODENAME"); do
        srun --nodes=1 --ntasks=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --nodelist="$host" \
            bash -c "$(declare -p JOB NODE_FOLDER); $(declare -f node other_node await_death_of); other_node $address" &
    done
    export RAY_ADDRESS=$address TMPDIR=$NODE_FOLDER
    # Mistakes are told at once. A job that has been queued again goes on with the nodes that there are.
    attended python study/cluster_check.py --storage "$STORAGE" --nodes "$SLURM_JOB_NUM_NODES" --wait 5m ||
        [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || return
    attended python study/run.py --name "$name" --or-resume --storage "$STORAGE" "$@"
}

status=0
go "$@" || status=$?
# Ray's files go with Ray. The steps are asked by SLURM, as an srun that gets a signal kills its step at once.
scancel --signal=TERM "$JOB" 2> /dev/null || true
[ -z "$head" ] || kill -TERM "$head" 2> /dev/null || true
for _ in {1..20}; do
    [ -n "$(jobs -rp)" ] || break
    sleep 0.5
done
if [ $status -ne 0 ] && [ "$leaving" = again ]; then
    [ "${SLURM_RESTART_COUNT:-0}" -lt $((GOES - 1)) ] || fail "study $name is not finished after GOES=$GOES goes"
    echo "cluster-slurm.sh: the wall limit is near; study $name goes on when the job starts again"
    scontrol requeue "$JOB"
fi
exit $status
