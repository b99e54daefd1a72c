//! `bundles build`: what each instruction makes, and what the next build knows already.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::archive::{Tar, config, gzip, saved_with};
use runtime_tests::companion::{bundles, bundles_as, home};
use runtime_tests::isolate::scratch;
use runtime_tests::prelude::*;
use runtime_tests::pty;
use runtime_tests::second_user::SecondUser;
use tar::EntryType;

tests![
    companion_build_makes_an_image,
    companion_build_knows_what_was_made,
    companion_build_sees_what_has_changed,
    companion_build_copies,
    companion_build_adds_archives,
    companion_build_arguments,
    companion_build_here_documents,
    companion_build_stages,
    companion_build_stages_run_side_by_side,
    companion_build_triggers,
    companion_build_shows_on_a_terminal_what_goes_on,
    companion_build_mounts,
    companion_build_secrets_are_in_no_layer,
    companion_build_from_standard_input,
    companion_build_is_reproducible,
    companion_build_layers_have_no_mount_points,
    companion_build_cache_survives_the_image,
    companion_build_of_an_ordinary_user,
    companion_build_networks,
];

const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "echo", "env", "false", "find", "grep", "head", "id", "ln", "ls",
    "mkdir", "mv", "pwd", "rm", "sh", "sleep", "sort", "stat", "tee", "test", "touch", "true",
    "wc",
];

/// The image `base:1`; it has neither /proc nor /etc/hosts.
pub(super) fn base() -> Vec<u8> {
    requires!(companion, busybox);
    if runtime() == Runtime::Crun {
        requires!(capability(24, "CAP_SYS_RESOURCE"));
    }
    let busybox = fs::read(runtime_tests::bundle::busybox().expect("busybox")).expect("busybox");
    let tar = Tar::new().busybox(&busybox, APPLETS).directory("etc").directory("srv").entry(
        EntryType::Directory,
        "tmp",
        b"",
        |header| header.set_mode(0o1777),
    );
    let layer = tar
        .file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:\n")
        .file("etc/group", b"web:x:34:\n")
        .file("srv/lower", b"lower\n")
        .bytes();
    let layers = [layer];
    let mut config = config(&layers);
    config["config"] = json!({ "Env": ["PATH=/bin"], "Cmd": ["sh"] });
    config["history"] = json!([{ "created_by": "base" }]);
    saved_with("base:1", &layers, &config)
}

/// A directory to build in, with its Dockerfile.
pub(super) struct Context(pub(super) PathBuf);

impl Context {
    pub(super) fn new(dockerfile: &str) -> Self {
        requires!(root);
        bundles(["load", "-q"]).stdin(base()).ok();
        let dir = scratch().join("context");
        fs::create_dir_all(&dir).expect("context");
        let context = Self(dir);
        context.file("Dockerfile", dockerfile);
        context
    }

    pub(super) fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(path, text).expect("file");
        self
    }

    pub(super) fn call(&self, flags: &[&str]) -> Call {
        bundles(["build", "-t", "made:1", "--runtime"])
            .arg(runtime_tests::runtime::path())
            .args(["--network", "none"])
            .args(flags)
            .arg(&self.0)
    }

    /// Builds; returns what it tells.
    pub(super) fn build(&self, flags: &[&str]) -> String {
        succeeds(self.call(flags))
    }

    pub(super) fn fails(&self, flags: &[&str]) -> String {
        fails(self.call(flags)).stderr()
    }
}

/// What it tells on standard error.
fn succeeds(call: Call) -> String {
    let output = call.output();
    output.assert_exit(0);
    output.stderr()
}

pub(super) fn fails(call: Call) -> Output {
    let output = call.output();
    assert_ne!(output.code, 0);
    output
}

fn build(dockerfile: &str, flags: &[&str]) -> String {
    Context::new(dockerfile).build(flags)
}

/// What a command in the new image says.
fn said(command: &str) -> String {
    bundles(["run", "--rm", "--network", "none", "--entrypoint", "", "--runtime"])
        .arg(runtime_tests::runtime::path())
        .args(["made:1", "sh", "-c", command])
        .ok()
}

fn inspected(name: &str) -> Value {
    let text = bundles(["image", "inspect", name]).ok();
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all[0].clone()
}

fn id() -> String {
    inspected("made:1")["Id"].as_str().expect("an id").to_owned()
}

pub(super) fn assert_nothing_is_left(home: &Path) {
    for dir in ["containers", "tmp"] {
        let left: Vec<_> = fs::read_dir(home.join(dir)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn companion_build_makes_an_image() {
    let told = build(
        "FROM base:1\nLABEL a=1 b=\"two words\"\nENV A=x B=\"$A y\"\nWORKDIR /app\nRUN pwd > where; id -u > who\n\
         USER web\nRUN id -u > /tmp/who\nEXPOSE 80 53/udp\nVOLUME /data\nSTOPSIGNAL SIGINT\n\
         HEALTHCHECK --interval=5s CMD test -e /app\nSHELL [\"/bin/sh\", \"-ec\"]\nONBUILD RUN true\n\
         ENTRYPOINT [\"/bin/cat\"]\nCMD [\"/app/where\"]\n",
        &["--label", "c=3"],
    );
    assert!(told.contains("[4/4] RUN id -u > /tmp/who"), "{told}");
    assert_eq!(said("cat /app/where /app/who /tmp/who; stat -c %u /app"), "/app\n0\n33\n0\n");
    let image = inspected("made:1");
    let config = &image["Config"];
    assert_eq!(config["Env"], json!(["PATH=/bin", "A=x", "B= y"]));
    assert_eq!(config["Labels"], json!({ "a": "1", "b": "two words", "c": "3" }));
    assert_eq!(config["WorkingDir"], "/app");
    assert_eq!(config["User"], "web");
    assert_eq!(config["ExposedPorts"], json!({ "80/tcp": {}, "53/udp": {} }));
    assert_eq!(config["Volumes"], json!({ "/data": {} }));
    assert_eq!(config["StopSignal"], "SIGINT");
    assert_eq!(config["Entrypoint"], json!(["/bin/cat"]));
    assert_eq!(config["Cmd"], json!(["/app/where"]));
    assert_eq!(config["OnBuild"], json!(["RUN true"]));
    assert_eq!(config["Shell"], json!(["/bin/sh", "-ec"]));
    assert_eq!(
        config["Healthcheck"],
        json!({ "Test": ["CMD-SHELL", "test -e /app"], "Interval": 5_000_000_000_u64 })
    );
    let run = bundles(["run", "--rm", "--network", "none", "--runtime"])
        .arg(runtime_tests::runtime::path());
    assert_eq!(run.arg("made:1").ok(), "/app\n");
    assert_nothing_is_left(&home());
}

fn companion_build_knows_what_was_made() {
    let context =
        Context::new("FROM base:1\nCOPY a /a\nRUN cat /a > /b\nWORKDIR /w\nCMD [\"x\"]\n");
    context.file("a", "1");
    let told = context.build(&[]);
    assert_eq!(told.matches("CACHED").count(), 1, "{told}"); // FROM
    let first = id();
    let again = context.build(&[]);
    assert_eq!(again.matches("CACHED").count(), 4, "{again}");
    assert_eq!(id(), first);
    let quiet = context.call(&["-q"]).ok();
    assert_eq!(quiet.trim(), first);
    // What only the configuration says makes no step new.
    context.file("Dockerfile", "FROM base:1\nLABEL new=1\nENV NEW=1\nCOPY a /a\nCMD [\"y\"]\n");
    let told = context.build(&[]);
    assert_eq!(told.matches("CACHED").count(), 2, "{told}");
    assert_ne!(id(), first);
    let anew = context.build(&["--no-cache"]);
    assert_eq!(anew.matches("CACHED").count(), 1, "{anew}");
    assert_nothing_is_left(&home());
}

fn companion_build_sees_what_has_changed() {
    let context = Context::new("FROM base:1\nARG V=1\nCOPY d /d/\nRUN echo $V > /v\n");
    context.file("d/a", "1").file("d/b", "1");
    context.build(&[]);
    // Neither a time nor an owner is a change.
    let touched = |name: &str| {
        let file = fs::File::options().write(true).open(context.0.join(name)).expect("file");
        file.set_modified(std::time::UNIX_EPOCH).expect("time");
        std::os::unix::fs::chown(context.0.join(name), Some(1000), None).expect("chown");
    };
    touched("d/a");
    assert_eq!(context.build(&[]).matches("CACHED").count(), 3);
    context.file("d/a", "2");
    assert_eq!(context.build(&[]).matches("CACHED").count(), 1);
    assert_eq!(said("cat /d/a"), "2");
    assert_eq!(context.build(&["--build-arg", "V=2"]).matches("CACHED").count(), 2);
    assert_eq!(said("cat /v"), "2\n");
    fs::remove_file(context.0.join("d/b")).expect("remove");
    context.build(&[]);
    assert_eq!(said("ls /d"), "a\n");
}

fn companion_build_copies() {
    let context = Context::new(
        "FROM base:1\nCOPY a.txt b.txt /files/\nCOPY *.txt many/\nCOPY d /d\nCOPY d/x /named\n\
         COPY --chown=web --chmod=640 a.txt /web\nCOPY --chown=7:8 d /owned\nCOPY [\"with blank\", \"/blank file\"]\n\
         COPY link /linked\nCOPY --link a.txt /alone/\nCOPY . /all\nWORKDIR /w\nCOPY a.txt .\n",
    );
    context.file("a.txt", "a").file("b.txt", "b").file("d/x", "x").file("d/sub/y", "y");
    context
        .file("with blank", "blank")
        .file("secret", "no")
        .file(".dockerignore", "secret\nDockerfile\n");
    std::os::unix::fs::symlink("d/x", context.0.join("link")).expect("symlink");
    std::os::unix::fs::symlink("x", context.0.join("d/l")).expect("symlink");
    context.build(&[]);
    let shown = said(
        "cat /files/a.txt /many/b.txt /d/sub/y /named '/blank file' /linked /alone/a.txt /w/a.txt; echo; \
         stat -c '%u %g %a' /web /owned/sub /d/x; ls /all; ls -l /d/l | grep -o 'l -> x'",
    );
    assert_eq!(
        shown,
        "abyxblankxaa\n33 34 640\n7 8 755\n0 0 644\na.txt\nb.txt\nd\nlink\nwith blank\nl -> x\n"
    );
    let told = context.file("Dockerfile", "FROM base:1\nCOPY a.txt secret /x/\n").fails(&[]);
    assert!(
        told.contains("bundles: Dockerfile: line 2, column 12: COPY: /secret: not found\n  hint: a pattern of .dockerignore"),
        "{told}"
    );
}

fn companion_build_adds_archives() {
    let tar = Tar::new().directory("in").file("in/file", b"text").file("x", b"x");
    let context = Context::new("FROM base:1\nADD a.tar /a/\nADD a.tgz b /b/\nCOPY a.tar /c/\n");
    let tar = tar.bytes();
    fs::write(context.0.join("a.tar"), &tar).expect("tar");
    fs::write(context.0.join("a.tgz"), gzip(&tar)).expect("tgz");
    context.file("b", "plain");
    context.build(&[]);
    let shown = said("cat /a/in/file /b/in/file /b/b; echo; ls -A /a /c");
    assert_eq!(shown, "texttextplain\n/a:\nin\nx\n\n/c:\na.tar\n");
    let url = "http://127.0.0.1:1/none";
    let told = context.file("Dockerfile", &format!("FROM base:1\nADD {url} /x\n")).fails(&[]);
    assert!(told.contains(&format!("line 2, column 5: ADD: GET {url}: ")), "{told}");
    assert!(told.contains("hint: is there a network"), "{told}");
}

fn companion_build_arguments() {
    let text = "ARG TAG=1\nFROM base:$TAG\nARG A=usual\nARG B\nARG TAG\nENV C=${B:-none}\n\
                RUN echo $A $B $TAG $C ${D-unset} > /args\nLABEL l=\"${A}_${C%e}\"\n";
    let context = Context::new(text);
    context.build(&[]);
    assert_eq!(said("cat /args"), "usual 1 none unset\n");
    let told =
        context.build(&["--build-arg", "B=given", "--build-arg", "D=x", "--build-arg", "A=other"]);
    assert_eq!(said("cat /args"), "other given 1 given unset\n");
    assert!(told.contains("--build-arg D: no ARG has that name"), "{told}");
    assert_eq!(inspected("made:1")["Config"]["Labels"], json!({ "l": "other_given" }));
    // An ARG is no variable of the containers.
    assert_eq!(said("echo ${A-unset}"), "unset\n");
}

fn companion_build_here_documents() {
    build(
        "FROM base:1\nARG V=value\nCOPY <<one.txt <<\"two.txt\" /docs/\n1 $V\none.txt\n2 $V\ntwo.txt\nRUN <<EOF\n\
         set -e\ncd /docs\ncat one.txt two.txt > both\nEOF\nRUN <<EOF\n#!/bin/sh\necho $0 > /script\nEOF\n\
         RUN cat <<-A > /docs/a && cat > /docs/b <<'B'\n\t\ta $V\n\tA\nb $V\nB\n",
        &[],
    );
    assert_eq!(
        said("cat /docs/both /docs/a /docs/b /script"),
        "1 value\n2 $V\na value\nb $V\n/dev/pipes/EOF\n"
    );
}

fn companion_build_stages() {
    let context = Context::new(
        "FROM base:1 AS one\nRUN echo 1 > /one; chown web /one\nFROM base:1 AS unused\nRUN false\nFROM one AS two\n\
         RUN cat /one > /two\nFROM scratch\nCOPY --from=two /one /two /\nCOPY --from=base:1 /bin/ /bin/\n\
         COPY --from=0 --chown=0 /one /zero\n",
    );
    let told = context.build(&[]);
    assert!(!told.contains("unused"), "{told}");
    assert_eq!(
        said("cat /one /two; stat -c %u /one /zero; ls /"),
        "1\n1\n33\n0\nbin\ndev\netc\none\nproc\nsys\ntwo\nzero\n"
    );
    context.build(&["--target", "one"]);
    assert_eq!(said("ls /two 2>&1 || true"), "ls: /two: No such file or directory\n");
    let told = context.fails(&["--target", "nosuch"]);
    assert_eq!(
        told,
        "bundles: --target nosuch: no such stage\n  hint: the stages with names are: one unused two\n"
    );
}

/// Each waits for the other, in a directory that both see.
fn companion_build_stages_run_side_by_side() {
    let stage = |own: &str, other: &str| {
        format!(
            "FROM base:1 AS {own}\nSHELL [\"/bin/sh\", \"-e\", \"-c\"]\nRUN --mount=type=cache,target=/c,id=meet touch /c/{own} /{own}; \\\n\
             n=0; until test -e /c/{other}; do n=$((n+1)); test $n -lt 200; sleep 0.1; done\n"
        )
    };
    let last = "FROM base:1\nCOPY --from=a /a /\nCOPY --from=b /b /\n";
    build(&format!("{}{}{last}", stage("a", "b"), stage("b", "a")), &[]);
    assert_eq!(said("ls -d /a /b"), "/a\n/b\n");
}

fn companion_build_shows_on_a_terminal_what_goes_on() {
    let context = Context::new("FROM base:1\nRUN echo output; sleep 0.6\nRUN echo wrong; false\n");
    let (mut master, slave) = pty::open(30, 100);
    let call = context.call(&[]).env("TERM", "xterm");
    let running = call.terminal(slave).spawn();
    let shown = master.wait_for("exit code 1");
    running.wait().assert_exit(1);
    for text in ["[2/3] RUN echo output", "output", "ERROR [3/3] RUN", "wrong", "exit code 1"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
}

fn companion_build_triggers() {
    let context =
        Context::new("FROM base:1\nONBUILD COPY app /app\nONBUILD RUN cat /app > /built\n");
    context.file("app", "source");
    context.build(&[]);
    bundles(["tag", "made:1", "parent:1"]).ok();
    context.file("Dockerfile", "FROM parent:1\nRUN cat /built > /own\n");
    context.build(&[]);
    assert_eq!(said("cat /own"), "source");
    assert_eq!(inspected("made:1")["Config"]["OnBuild"], Value::Null);
}

fn companion_build_mounts() {
    let context = Context::new(
        "FROM base:1 AS other\nRUN echo other > /file\nFROM base:1\nWORKDIR /w\n\
         RUN --mount=type=bind,target=/ctx --mount=type=bind,from=other,source=/file,target=/other \\\n\
         cat /ctx/a /other > /seen; touch /ctx/x 2> /dev/null || echo read-only >> /seen\n\
         RUN --mount=target=/ctx,rw echo changed > /ctx/a; ls /\n\
         RUN --mount=type=cache,target=/cache echo again >> /cache/log; cat /cache/log > /log\n\
         RUN --mount=type=tmpfs,target=/t,size=1m touch /t/x\n",
    );
    context.file("a", "context\n");
    context.build(&[]);
    let clean = "cat /seen /log; ls -d /ctx /cache /t /other 2>/dev/null || true";
    assert_eq!(said(clean), "context\nother\nread-only\nagain\n");
    assert_eq!(fs::read_to_string(context.0.join("a")).expect("a"), "context\n");
    context.build(&["--no-cache"]);
    assert_eq!(said("cat /log"), "again\nagain\n");
    bundles(["builder", "prune", "-f"]).ok();
    context.build(&["--no-cache"]);
    assert_eq!(said("cat /log"), "again\n");
}

fn companion_build_secrets_are_in_no_layer() {
    let context = Context::new(
        "FROM base:1\nRUN --mount=type=secret,id=key cat /run/secrets/key | wc -c > /length; stat -c %a /run/secrets/key > /mode\n\
         RUN --mount=type=secret,id=key,env=KEY echo \"${KEY%-word}\" | grep -q hidden\n\
         RUN --mount=type=secret,id=none test ! -e /run/secrets/none\n",
    );
    let file = scratch().join("key");
    fs::write(&file, "hidden-word").expect("secret");
    let flag = format!("id=key,src={}", file.display());
    let told = context.build(&["--secret", &flag]);
    assert!(!told.contains("hidden-word"), "{told}");
    assert_eq!(said("cat /length /mode; ls /run/secrets 2>/dev/null || true"), "11\n400\n");
    let found = fails(Call::of("/usr/bin/grep".into(), ["-r", "-l", "hidden-word"]).arg(home()));
    assert_eq!(found.stdout(), "");
    context.file("Dockerfile", "FROM base:1\nRUN --mount=type=secret,id=other,required true\n");
    let told = context.fails(&[]);
    assert!(
        told.contains("secret other: not given\n  hint: add --secret id=other,src=FILE"),
        "{told}"
    );
}

fn companion_build_from_standard_input() {
    let context = Context::new("FROM scratch\n");
    let alone = |stdin: Vec<u8>, flags: &[&str]| {
        bundles(["build", "-q", "-t", "made:1", "--network", "none", "--runtime"])
            .arg(runtime_tests::runtime::path())
            .args(flags)
            .stdin(stdin)
    };
    alone(b"FROM base:1\nRUN echo stdin > /from\n".to_vec(), &["-"]).ok();
    assert_eq!(said("cat /from"), "stdin\n");
    let told = fails(alone(b"FROM base:1\nCOPY a /\n".to_vec(), &["-"])).stderr();
    assert!(told.contains("standard input: line 2, column 6: COPY: /a: not found"), "{told}");
    let tar = Tar::new().file("dockerfile", b"FROM base:1\nCOPY a /from\n").file("a", b"archive\n");
    let tar = tar.bytes();
    alone(tar.clone(), &["-"]).ok();
    assert_eq!(said("cat /from"), "archive\n");
    alone(gzip(&tar), &["-f", "dockerfile", "-"]).ok();
    context.file("a", "context\n");
    alone(
        b"FROM base:1\nCOPY a /from\n".to_vec(),
        &["-f", "-", context.0.to_str().expect("UTF-8")],
    )
    .ok();
    assert_eq!(said("cat /from"), "context\n");
    // A link of the archive leads to no file of the host.
    let link = Tar::new().symlink("Dockerfile", "/etc/passwd").file("a", b"");
    let told = fails(alone(link.bytes(), &["-"])).stderr();
    assert!(told.contains("Dockerfile"), "{told}");
    assert!(!told.contains("root:"), "{told}");
    assert_nothing_is_left(&home());
}

fn companion_build_is_reproducible() {
    let context = Context::new("FROM base:1\nCOPY a /a\nRUN mkdir /d; touch /d/x; echo y > /y\n");
    context.file("a", "1");
    let epoch = ["--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1000000000"];
    context.build(&epoch);
    let first = id();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    context.file("a", "1");
    context.build(&epoch);
    assert_eq!(id(), first);
    assert_eq!(inspected("made:1")["Created"], "2001-09-09T01:46:40Z");
    assert_eq!(said("stat -c %Y /d /y"), "1000000000\n1000000000\n");
}

fn companion_build_layers_have_no_mount_points() {
    build("FROM base:1\nRUN --mount=type=tmpfs,target=/deep/er/down echo x > /etc/x\n", &[]);
    let seen = said("ls /; ls /etc");
    assert_eq!(
        seen,
        "bin\ndev\netc\nproc\nsrv\nsys\ntmp\ngroup\nhostname\nhosts\npasswd\nresolv.conf\nx\n"
    );
    let id = inspected("made:1")["RootFS"]["Layers"][1].as_str().expect("a layer")[7..].to_owned();
    let found = Call::of("/usr/bin/find".into(), ["."])
        .cwd(&home().join("layers").join(id).join("files"))
        .ok();
    let mut names: Vec<&str> = found.lines().collect();
    names.sort_unstable();
    assert_eq!(names, [".", "./etc", "./etc/x"]);
}

fn companion_build_cache_survives_the_image() {
    let context = Context::new("FROM base:1\nRUN echo x > /x\n");
    context.build(&[]);
    bundles(["rmi", "made:1"]).ok();
    assert_eq!(context.build(&[]).matches("CACHED").count(), 2);
    bundles(["rmi", "made:1"]).ok();
    let df = bundles(["system", "df"]).ok();
    assert!(
        df.lines().any(|line| line.starts_with("Build Cache") && !line.contains("0B ")),
        "{df}"
    );
    bundles(["system", "prune", "-f"]).ok();
    assert_eq!(context.build(&[]).matches("CACHED").count(), 1);
    // The cache of an image that is there stays.
    bundles(["system", "prune", "-f"]).ok();
    assert_eq!(context.build(&[]).matches("CACHED").count(), 2);
}

fn companion_build_of_an_ordinary_user() {
    requires!(root);
    let user = SecondUser::new();
    bundles_as(&user, ["load", "-q"]).stdin(base()).ok();
    let context = user.directory("context");
    fs::write(
        context.join("Dockerfile"),
        "FROM base:1\nCOPY a /a\nRUN id -u > /who; cat /a >> /who\n",
    )
    .expect("file");
    fs::write(context.join("a"), "text\n").expect("file");
    let call = || {
        bundles_as(&user, ["build", "-t", "made:1", "--network", "host", "--runtime"])
            .arg(runtime_tests::runtime::path())
            .arg(&context)
    };
    succeeds(call());
    let run = bundles_as(&user, ["run", "--rm", "--network", "none", "--runtime"])
        .arg(runtime_tests::runtime::path());
    assert_eq!(run.args(["made:1", "cat", "/who"]).ok(), "0\ntext\n");
    assert_eq!(succeeds(call()).matches("CACHED").count(), 3);
    assert_nothing_is_left(&user.dir().join("share/bundles"));
}

fn companion_build_networks() {
    requires!(program("/usr/sbin/nft"));
    let context = Context::new(
        "FROM base:1\nRUN cat /proc/net/dev > /net\nRUN --network=none cat /proc/net/dev > /none\n",
    );
    let links =
        |file: &str| said(&format!("grep -c : {file}")).trim().parse::<u32>().expect("a number");
    context.build(&["--network", "bridge"]);
    assert_eq!((links("/net"), links("/none")), (2, 1));
    let told = context.fails(&["--network", "nosuch"]);
    assert!(told.contains("--network nosuch"), "{told}");
}
