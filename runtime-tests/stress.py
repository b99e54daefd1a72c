"""The part of stress.sh that has to be quick. Runs inside its namespaces."""

import json, os, random, shutil, signal, statistics, subprocess, sys, time

RT, TAG, SCRATCH, RUNS, KILLS, SEED = sys.argv[1:4] + [int(n) for n in sys.argv[4:]]
ROOT, FILES = f"{SCRATCH}/state", f"{SCRATCH}/files"
rng = random.Random(SEED)
failed = 0


def report(name, problems):
    global failed
    print(f"{'not ok' if problems else 'ok'} - {name}", flush=True)
    for problem in problems[:10]:
        print(f"    {problem}")
    if len(problems) > 10:
        print(f"    and {len(problems) - 10} more")
    failed += bool(problems)


def rt(*args):
    return subprocess.run([RT, "--root", ROOT, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def start(*args):
    return subprocess.Popen([RT, "--root", ROOT, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bundle(id, command=None):
    """Every container has a bundle of its own: the same root, another cgroup."""
    path = f"{SCRATCH}/bundle/{id}"
    os.makedirs(path, exist_ok=True)
    with open(f"{SCRATCH}/bundle/template.json") as file:
        config = json.load(file)
    config["root"]["path"] = f"{SCRATCH}/bundle/rootfs"
    config["linux"]["cgroupsPath"] = f"/{TAG}/{id}"
    config["process"]["args"] = command or config["process"]["args"]
    with open(f"{path}/config.json", "w") as file:
        json.dump(config, file)
    return path


def mounts():
    with open("/proc/self/mountinfo") as file:
        return sorted(line.split(" ", 1)[1] for line in file)


def processes():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                stat = file.read()
            found[int(pid)] = stat[stat.index("("):stat.rindex(")") + 3]
        except OSError:
            pass
    return found


def cgroups():
    return [path for top in tops for path, _, _ in os.walk(top) if path != top]


def files():
    return sorted(os.listdir(ROOT) if os.path.isdir(ROOT) else []) + sorted(os.listdir(FILES)) + \
        sorted(os.listdir(f"{SCRATCH}/tmp")) + sorted(os.listdir("/run"))


def find_tops():
    """The directory of our cgroups in every hierarchy that has one."""
    with open("/proc/self/mountinfo") as file:
        points = {line.split()[4] for line in file if " - cgroup" in line}
    return [f"{point}/{TAG}" for point in points if os.path.isdir(f"{point}/{TAG}")]


def leaks(patience=3.0):
    """What is there now and was not before. The kernel may need a moment to end a process."""
    end = time.monotonic() + patience
    while True:
        global tops
        tops = find_tops()
        found = [f"process {pid} {text}" for pid, text in processes().items() if pid not in before[0]]
        found += [f"cgroup {path}" for path in cgroups()]
        found += [f"mount {line.strip()}" for line in mounts() if line not in before[1]]
        found += [f"file {name}" for name in files() if name not in before[2]]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.02)


def plain_runs():
    wrong, times = [], []
    for n in range(RUNS):
        id = f"run{n % 2}"
        begin = time.monotonic()
        done = rt("run", "-b", bundle(id), id)
        times.append(time.monotonic() - begin)
        if (done.returncode, done.stdout, done.stderr) != (3, "ran\n", ""):
            wrong.append(f"run {n}: {done}")
    report(f"{RUNS} runs, {statistics.median(times) * 1000:.1f} ms each", wrong)
    report("nothing is left of them", leaks())


def killed(name, rounds, prepare, attack):
    """Kills the command of `attack` at a random instant of its life."""
    times = []
    word = name.replace(" --", "-")
    for n in range(5):
        id = f"{word}-t{n}"
        prepare(id)
        child = start(*attack(id))
        begin = time.monotonic()
        child.wait()
        times.append(time.monotonic() - begin)
        rt("delete", "--force", id)
        clean(id)
    whole = statistics.median(times)
    problems, alive = [], 0
    for n in range(rounds):
        id = f"{word}{n}"
        prepare(id)
        delay = rng.uniform(0, whole * 1.25)
        child = start(*attack(id))
        time.sleep(delay)
        alive += child.poll() is None
        child.kill()
        child.wait()
        done = rt("delete", "--force", id)
        where = f"round {n}, killed after {delay * 1000:.2f} ms"
        if done.returncode != 0:
            problems.append(f"{where}: delete --force: {done.returncode} {done.stderr.strip()}")
        # A pid file is for the caller, who removes it, as engines do.
        clean(id)
        left = leaks()
        problems += [f"{where}: {leak}" for leak in left]
        if left:
            before[0].update(processes())
            before[1].extend(mounts())
            before[2].extend(files())
            for path in sorted(cgroups(), reverse=True):
                try:
                    os.rmdir(path)
                except OSError:
                    pass
    report(f"{rounds} times {name} killed within {whole * 1250:.1f} ms, {alive} of them before the end", problems)


def clean(id):
    if os.path.exists(f"{FILES}/{id}.pid"):
        os.remove(f"{FILES}/{id}.pid")
    shutil.rmtree(f"{SCRATCH}/bundle/{id}", ignore_errors=True)


def attacks():
    long = ["sh", "-c", "while :; do busybox sleep 1; done"]

    def make(id):
        bundle(id, long)

    def created(id):
        make(id)
        start("create", "-b", f"{SCRATCH}/bundle/{id}", id).wait()

    def running(id):
        created(id)
        start("start", id).wait()

    def pid_file(id):
        return ["--pid-file", f"{FILES}/{id}.pid", "-b", f"{SCRATCH}/bundle/{id}", id]

    killed("create", KILLS, make, lambda id: ["create", *pid_file(id)])
    killed("run --detach", KILLS // 2, make, lambda id: ["run", "--detach", *pid_file(id)])
    # Its container ends at once, so that the kill may hit the clean-up, too.
    killed("run", KILLS // 2, bundle, lambda id: ["run", "-b", f"{SCRATCH}/bundle/{id}", id])
    killed("start", KILLS // 2, created, lambda id: ["start", id])
    killed("exec", KILLS // 2, running, lambda id: ["exec", id, "sh", "-c", "busybox sleep 0.01; :"])
    killed("delete --force", KILLS // 2, running, lambda id: ["delete", "--force", id])
    killed("kill", KILLS // 4, running, lambda id: ["kill", id, "KILL"])
    killed("pause", KILLS // 4, running, lambda id: ["pause", id])
    report("nothing is left of all", leaks())


tops = []
before = (processes(), mounts(), files())
signal.signal(signal.SIGINT, signal.SIG_DFL)
plain_runs()
attacks()
sys.exit(failed > 0)
