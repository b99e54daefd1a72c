#!/bin/bash
# stress.sh: many runs, and commands of RT which are killed at random instants. After each kill
# `delete --force` has to remove everything: state, cgroup, processes, mounts, files. Then the same of the
# companion, by its black-box tests, also on a disk that becomes full at so many points.
#
#   RUNS=1000 KILLS=200 SEED=N VIEWS="host v2" runtime-tests/stress.sh
. "$(dirname "$0")/engines/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	if [ -n "${RT_STRESS_ONE:-}" ]; then outside busybox jq; fi
	export RUNS=${RUNS:-1000} KILLS=${KILLS:-200} SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	for view in ${VIEWS:-host v2}; do
		echo "the $view view, SEED=$SEED:"
		RT_STRESS_ONE=1 VIEW=$view bash "$0" 2>&1 | tee -a "$log" | sed 's/^/  /'
	done
	if [ -x "$TOP/dist/bundles" ]; then
		echo "the companion, SEED=$SEED:"
		(
			RT=$(realpath "$RT")
			cd "$TOP" && . .ci/toolchain
			cargo build --quiet --release --target "$TARGET" -p runtime-tests --bin probe --bin runtime-tests &&
				RT_TEST_SLOW=40 "$OUT/release/runtime-tests" --rt "$RT" --bundles dist/bundles \
					companion_killed companion_full_disk pull_killed
		) 2>&1 | tee -a "$log" | sed 's/^/  /'
	fi
	awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { n++; p += $1; f += $3; s += $5 }
		END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || n == 0 }' "$log"
	exit
fi
inside

mkdir -p bundle/rootfs/{bin,proc,sys,dev,etc,tmp} state files
cp "$(command -v busybox)" bundle/rootfs/bin/busybox
ln -s busybox bundle/rootfs/bin/sh
(cd bundle && "$RT" spec && jq '.process.terminal = false | .process.args = ["sh", "-c", "echo ran; exit 3"]' \
	config.json >template.json && rm config.json)
python3 "$HERE/../stress.py" "$RT" "$TAG" "$SCRATCH" "$RUNS" "$KILLS" "$SEED" >counts
rc=$?
cat counts
read -r passed failed < <(awk '/^ok/ { p++ } /^not ok/ { f++ } END { print p + 0, f + 0 }' counts)
if [ $rc != 0 ] && [ "$failed" = 0 ]; then fail "stress.py ended with status $rc"; fi
