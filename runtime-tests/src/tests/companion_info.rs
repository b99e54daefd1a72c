//! `bundles info` and `version`: what programs read, and names that this program is called by.

use runtime_tests::companion::{Root, bundles, called, home};
use runtime_tests::isolate::scratch;
use runtime_tests::prelude::*;
use runtime_tests::second_user::SecondUser;

tests![
    companion_info_has_the_fields_of_docker,
    companion_info_counts_containers,
    companion_info_of_an_ordinary_user,
    companion_info_reads_registries,
    companion_version_has_the_fields_of_docker,
    companion_called_docker_or_podman,
];

fn info() -> Value {
    serde_json::from_str(&bundles(["info", "--format", "{{json .}}"]).ok()).expect("JSON")
}

fn print(command: &str, format: &str) -> String {
    bundles([command, "-f", format]).ok().trim_end().to_owned()
}

fn companion_info_has_the_fields_of_docker() {
    let info = info();
    let system = nix::sys::utsname::uname().expect("uname");
    assert_eq!(info["KernelVersion"], *system.release().to_string_lossy());
    assert_eq!(info["Name"], *system.nodename().to_string_lossy());
    assert_eq!(info["DockerRootDir"], home().display().to_string());
    for (field, value) in
        [("OSType", "linux"), ("Driver", "overlay2"), ("Architecture", std::env::consts::ARCH)]
    {
        assert_eq!(info[field], value);
    }
    for field in ["ID", "LoggingDriver", "CgroupDriver", "OperatingSystem", "ServerVersion"] {
        assert!(!info[field].as_str().expect(field).is_empty(), "{field}");
    }
    for field in ["MemoryLimit", "PidsLimit", "CPUShares", "IPv4Forwarding"] {
        assert!(info[field].is_boolean(), "{field}");
    }
    assert!(info["NCPU"].as_u64() > Some(0) && info["MemTotal"].as_u64() > Some(1 << 20));
    assert_eq!(print("info", "{{.Runtimes.nvidia}}"), "<no value>");
    assert_eq!(print("info", "{{.Driver}}"), "overlay2");
    assert!(
        print("info", "{{json .SecurityOptions}}").starts_with("[\"name=seccomp,profile=default\"")
    );
    let text = bundles(["system", "info"]).ok();
    assert!(text.contains("\n Containers: 0\n  Running: 0\n"), "{text}");
    assert!(text.contains("\n Security Options:\n  seccomp\n   Profile: default\n"), "{text}");
    bundles(["info", "-f", "{{.Nosuch}}"])
        .output()
        .assert_exit(1)
        .assert_stderr_has(".Nosuch: no such field");
}

fn companion_info_counts_containers() {
    let root = Root::new();
    root.detached("k1", &["sleep", "100"]);
    root.call(&["create", "--name", "k2"], &[], &["true"]).ok();
    let counts = "{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}} {{.ContainersStopped}} {{.Images}}";
    assert_eq!(print("info", counts), "2 1 0 1 0");
    bundles(["rm", "-f", "k1", "k2"]).ok();
}

/// kind asks so, and wants to know which limits there are.
fn companion_info_of_an_ordinary_user() {
    let user = SecondUser::new();
    let call = runtime_tests::companion::bundles_as(&user, ["info", "-f", "{{json .}}"]);
    let call = call.env("HOME", user.dir().to_str().expect("UTF-8"));
    let info: Value = serde_json::from_str(&call.ok()).expect("JSON");
    let options = info["SecurityOptions"].as_array().expect("a list");
    assert!(options.contains(&json!("name=rootless")), "{options:?}");
    assert_eq!(info["DriverStatus"], json!([["userxattr", "true"]]));
}

fn companion_info_reads_registries() {
    let conf = scratch().join("registries.conf");
    std::fs::write(&conf, "unqualified-search-registries = ['a.test']\n[[registry]]\nlocation = 'b.test'\ninsecure = true\n").expect("write");
    let conf = conf.display().to_string();
    let call = bundles(["info", "-f", "{{json .RegistryConfig}}"])
        .env("CONTAINERS_REGISTRIES_CONF", &conf);
    let config: Value = serde_json::from_str(&call.ok()).expect("JSON");
    assert_eq!(config["SearchRegistries"], json!(["a.test"]));
    assert_eq!(config["IndexConfigs"]["b.test"]["Secure"], false);
    assert_eq!(config["IndexConfigs"]["docker.io"]["Official"], true);
    let text = bundles(["info"]).env("CONTAINERS_REGISTRIES_CONF", &conf).ok();
    assert!(text.contains("\n Insecure Registries:\n  b.test\n  127.0.0.0/8\n"), "{text}");
    // A mistake there is not in the way of all else.
    std::fs::write(&conf, "[[registry]]\nblocked = true\n").expect("write");
    let text = bundles(["info"]).env("CONTAINERS_REGISTRIES_CONF", &conf).ok();
    let warning = format!("WARNING: {conf}: a [[registry]] has neither prefix nor location\n");
    assert!(text.contains(&warning), "{text}");
}

fn companion_version_has_the_fields_of_docker() {
    // GitHub's runner wants 1.35 or newer of both.
    for side in ["Client", "Server"] {
        let version = print("version", &format!("{{{{.{side}.APIVersion}}}}"));
        let (major, minor) = version.split_once('.').expect("two numbers");
        let numbers: (u32, u32) = (major.parse().expect("one"), minor.parse().expect("one"));
        assert!(numbers >= (1, 35), "{version}");
        for field in ["Version", "GitCommit", "Os", "Arch", "BuildTime", "GoVersion"] {
            print("version", &format!("{{{{.{side}.{field}}}}}"));
        }
    }
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(print("version", "{{.Server.Version}}"), own);
    let json: Value = serde_json::from_str(&print("version", "json")).expect("JSON");
    assert_eq!(json["Client"]["ApiVersion"], json["Server"]["ApiVersion"]);
    assert_eq!(json["Server"]["Components"][0]["Name"], "Engine");
    let text = bundles(["version"]).ok();
    assert!(text.starts_with(&format!("Client:\n Version:           {own}\n")), "{text}");
    assert!(text.contains(&format!("\nServer:\n Engine:\n  Version:          {own}\n")), "{text}");
    for flag in ["-v", "-V", "--version"] {
        assert_eq!(bundles([flag]).ok(), format!("bundles {own}\n"));
    }
    assert!(!home().exists(), "asking for versions makes no home");
}

fn companion_called_docker_or_podman() {
    // Harbor's installer takes the first number with a dot, and wants 17.6 or newer; kind looks at
    // the first words.
    for flag in ["-v", "--version"] {
        let text = called("docker", &[flag]).ok();
        let number = text.strip_prefix("Docker version ").expect(&text);
        let numbers: Vec<u32> = number.split(['.', ',']).take(2).flat_map(str::parse).collect();
        assert!(numbers >= vec![17, 6] && text.contains(", build "), "{text}");
        let text = called("podman", &[flag]).ok();
        assert!(text.starts_with("podman version 4."), "{text}");
    }
    let version =
        called("docker", &["version", "-f", "{{.Client.Version}} {{.Server.Version}}"]).ok();
    let both: Vec<&str> = version.split_whitespace().collect();
    assert!(both[0] == both[1] && both[0].starts_with("20.10."), "{version}");
    let usage = called("docker", &["volume", "rm"]).output();
    usage.assert_exit(125).assert_stderr_has("Usage: docker volume rm <VOLUME>...");
    assert!(called("podman", &["--help"]).ok().contains("Usage: podman [OPTIONS] <COMMAND>"));
}
