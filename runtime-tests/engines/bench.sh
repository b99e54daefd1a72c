#!/bin/bash
# bench.sh: what people wait for, `docker run --rm true` and `ctr run --rm true`, with RT and the
# runc and crun of the tree, in turns. ROUNDS (default 20) rounds; prints medians, the 10th and
# 90th percentile in ms, and ratios to runc; then 50 containers by 8 at a time.
SUITE=${SUITE:-trixie}
VIEW=${VIEW:-v1} # crun refuses hybrid cgroups, and v2 without an io controller
. "$(dirname "$0")/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then outside_with_tree; fi
inside

address=$SCRATCH/c.sock
export DOCKER_HOST=unix://$SCRATCH/d.sock
cat >config.toml <<TEXT
version = 2
root = "$SCRATCH/c-root"
state = "$SCRATCH/c-run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$address"
TEXT
runtimes=$RT
for program in runc crun; do
	program=$(command -v $program) && [ "$program" != "$RT" ] && runtimes="$runtimes $program"
done
# shellcheck disable=SC2086 # words
jq -n '{runtimes: ($ARGS.positional | map({(split("/") | last + "-tested"): {path: .}}) | add)}' --args $runtimes >daemon.json

stop_engine() { stop_daemons; }

daemon containerd containerd -c config.toml -l warn
until_ok 20 ctr --address "$address" version || { fail "containerd starts" containerd.log; exit 1; }
daemon dockerd dockerd --config-file daemon.json --data-root "$SCRATCH/root" --exec-root "$SCRATCH/run" \
	--pidfile "$SCRATCH/docker.pid" -H "$DOCKER_HOST" --containerd "$address" --cgroup-parent "/$TAG" \
	--bridge none --iptables=false --ip6tables=false --storage-driver overlay2
until_ok 20 docker version || { fail "dockerd starts" dockerd.log; exit 1; }
box_image box.tar
docker load -q -i box.tar && ctr --address "$address" -n "$TAG" image import box.tar || exit 1

# shellcheck disable=SC2086 # words
if python3 - "${ROUNDS:-20}" "$address" "$TAG" $runtimes <<'PYTHON'; then pass "docker and ctr with every runtime"; else fail "docker and ctr with every runtime"; fi
import concurrent.futures, os, statistics, subprocess, sys, time

rounds, address, tag, *runtimes = sys.argv[1:]
name = os.path.basename
number = 0


def docker(runtime):
    return ["docker", "run", "--rm", "--network", "none", "--runtime", name(runtime) + "-tested", "localhost/box:1", "true"]


def ctr(runtime):
    global number
    number += 1
    return ["ctr", "--address", address, "-n", tag, "run", "--rm", "--cpu-shares", "0",
            "--runc-binary", runtime, "localhost/box:1", f"b{number}", "true"]


def run(command):
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}: {done.stdout}{done.stderr}")
    return (time.monotonic() - start) * 1000


def burst(make, runtime):
    commands = [make(runtime) for _ in range(50)]
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(run, commands))
    return (time.monotonic() - start) * 1000


def table(title, times):
    # The runtime under test against each other one; runc is the second.
    for runtime in runtimes:
        values = sorted(times[runtime])
        base = statistics.median(times[runtimes[1]])
        low, high = values[len(values) // 10], values[-1 - len(values) // 10]
        median = statistics.median(values)
        print(f"{title:28} {name(runtime):6} {median:8.1f} ms ({low:.1f}-{high:.1f})  {median / base:.2f} x {name(runtimes[1])}", flush=True)


for title, make in [("docker run --rm true", docker), ("ctr run --rm true", ctr)]:
    for runtime in runtimes:
        run(make(runtime))
    times = {runtime: [] for runtime in runtimes}
    for turn in range(int(rounds)):
        for runtime in runtimes[turn % len(runtimes):] + runtimes[:turn % len(runtimes)]:
            times[runtime].append(run(make(runtime)))
    table(title, times)
    times = {runtime: [] for runtime in runtimes}
    for turn in range(3):
        for runtime in runtimes:
            times[runtime].append(burst(make, runtime))
    table(title + ", 50 by 8", times)
PYTHON
