//! `bundles search` of registries on the test's loopback, and whose logins count.

use std::fs;

use runtime_tests::archive::{Tar, gzip};
use runtime_tests::companion::{called, home};
use runtime_tests::depot::{Depot, Manners};
use runtime_tests::prelude::*;
use runtime_tests::registry::{
    Answer, Body, DOCKER_MANIFEST, PROGRAM, Pushed, Registry, Server, htpasswd, image, pulling,
    setting, settings, unsettled,
};

tests![
    index_of_a_registry_is_searched,
    names_of_all_repositories_are_searched_page_by_page,
    search_that_cannot_be_is_told,
    short_terms_go_where_registries_conf_says,
    kept_login_is_tried_first,
    config_flag_names_the_directory_of_the_logins,
];

fn prepared() {
    requires!(companion, program("/usr/sbin/ip"));
}

fn small() -> Pushed {
    let layer = Tar::new().file("f", b"f").bytes();
    image(DOCKER_MANIFEST, &[(&layer, gzip(&layer), ".gzip")])
}

fn indexed() -> Server {
    Server::start(|request| {
        let long = "The best application of all that there are\nin this registry, \u{1b}[2J says its author";
        let all = json!({"num_results": 3, "results": [
            {"name": "few", "description": "", "star_count": 3, "is_official": false, "is_automated": true},
            {"name": "app", "description": long, "star_count": 90, "is_official": true},
            {"name": "none"},
        ]});
        match request.path.starts_with("/v1/search?q=a%20b&n=") {
            true => Answer::of(200, "application/json", all.to_string().as_bytes()),
            false => Answer::of(404, "text/plain", b""),
        }
    })
}

fn index_of_a_registry_is_searched() {
    prepared();
    let server = indexed();
    let term = server.name("a b");
    let name = |end: &str| server.name(end);
    let shown = pulling(["search", &term]).output();
    shown.assert_exit(0);
    let lines = shown.lines();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&lines[0]), ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]);
    let start = format!("{} The best application of all that there are i… 90 [OK]", name("app"));
    assert_eq!(words(&lines[1]).join(" "), start);
    assert_eq!(words(&lines[2]), [name("few"), "3".to_owned()]);
    assert_eq!(lines.len(), 4);
    let whole = pulling(["search", "--no-trunc", "--format", "{{.Description}}", &term]).ok();
    let said =
        "The best application of all that there are in this registry, \\u{1b}[2J says its author";
    assert_eq!(whole.lines().next().unwrap(), said);
    for (flags, wanted) in [
        (&["--limit", "1"][..], &["app"][..]),
        (&["--filter", "stars=3"], &["app", "few"]),
        (&["-f", "is-official=true"], &["app"]),
        (&["-f", "is-official=false", "-f", "is-automated=0"], &["none"]),
    ] {
        let found = pulling(["search", "--format", "{{.Name}}"]).args(flags).arg(&term).ok();
        let wanted: Vec<String> = wanted.iter().map(|end| name(end)).collect();
        assert_eq!(found.lines().collect::<Vec<_>>(), wanted, "{flags:?}");
    }
    let json = pulling(["search", "--limit", "1", "--format", "json", &term]).output().json();
    assert_eq!((&json["StarCount"], &json["IsOfficial"]), (&json!("90"), &json!("[OK]")));
}

fn names_of_all_repositories_are_searched_page_by_page() {
    prepared();
    requires!(program(PROGRAM));
    let registry = Registry::start();
    for name in ["team/app", "application", "other"] {
        registry.push(name, "1", &small());
    }
    let found = pulling(["search", "--format", "{{.Name}}", &registry.name("app")]).ok();
    assert_eq!(found, format!("{}\n{}\n", registry.name("application"), registry.name("team/app")));
    let all = pulling(["search", "--format", "{{.Name}}", &registry.name("")]).ok();
    assert_eq!(all.lines().count(), 3);
    let server = Server::start(|request| {
        let page = |names: &[&str], next: &str| {
            let body = json!({ "repositories": names }).to_string();
            let answer = Answer::of(200, "application/json", body.as_bytes());
            if next.is_empty() { answer } else { answer.header("Link", next) }
        };
        match request.path.as_str() {
            "/v2/_catalog?n=1000" => page(&["a1", "b"], "</v2/_catalog?last=b&n=2>; rel=\"next\""),
            "/v2/_catalog?last=b&n=2" => page(&["a2", "c"], ""),
            _ => Answer::of(404, "text/plain", b""),
        }
    });
    let found = pulling(["search", "--format", "{{.Name}}", &server.name("a")]).ok();
    assert_eq!(found, format!("{}\n{}\n", server.name("a1"), server.name("a2")));
}

fn search_that_cannot_be_is_told() {
    prepared();
    let server = Server::start(|_| Answer::of(404, "text/plain", b""));
    let (host, term) = (format!("localhost:{}", server.port), server.name("x"));
    for (args, wanted) in [
        (&[term.as_str()][..], format!("bundles: search {term}: {host}: does not tell what it has\n  hint: look at its web pages, and pull by the whole name\n")),
        (&["--retry", "0", "localhost:9/x"], "bundles: search localhost:9/x: localhost:9: connection refused\n".to_owned()),
        (&["https://x.y/z"], "bundles: search https://x.y/z: a URL\n  hint: leave what stands before the name of the host away\n".to_owned()),
        (&["-f", "stars=many", &term], "bundles: --filter stars=many: no number\n".to_owned()),
        (&["-f", "colour=red", &term], "bundles: --filter colour=red: no filter \"colour\" here\n".to_owned()),
        // Nothing leads out of the test's network.
        (&["--retry", "0", "nginx"], "bundles: search nginx: docker.io: ".to_owned()),
    ] {
        let output = pulling(["search"]).args(args).output();
        output.assert_exit(1);
        assert!(output.stderr().starts_with(&wanted), "{wanted} in {}", output.stderr());
    }
    pulling(["search", "--limit", "101", "x"]).output().assert_exit(125);
}

fn short_terms_go_where_registries_conf_says() {
    prepared();
    let server = indexed();
    let down = "localhost:9";
    let conf = setting(
        "registries.conf",
        &format!("unqualified-search-registries = ['localhost:{}', '{down}']\n", server.port),
    );
    let output = pulling(["search", "--retry", "0", "--format", "{{.Name}}", "a b"])
        .env("CONTAINERS_REGISTRIES_CONF", conf.to_str().unwrap())
        .output();
    // What one has is shown though another one is down.
    output.assert_exit(1);
    assert_eq!(output.lines().first(), Some(&server.name("app")));
    output.assert_stderr_has("bundles: search a b: localhost:9: connection refused\n");
}

fn kept_login_is_tried_first() {
    prepared();
    requires!(program(PROGRAM));
    let registry = Registry::with("", &htpasswd());
    let host = format!("localhost:{}", registry.port);
    let typed = pulling(["login", "-u", "tester", "-p", "secret", &host]).output();
    typed.assert_exit(0).assert_stdout("Login Succeeded");
    typed.assert_stderr_has(
        "warning: others see the password in lists of processes; --password-stdin hides it\n",
    );
    let kept = pulling(["login", &host]).output();
    kept.assert_exit(0).assert_stdout("Login Succeeded");
    kept.assert_stderr_has("by the login that is kept in ");
    let wrong = json!({"auths": {&host: {"auth": "dGVzdGVyOm5v"}}});
    setting("containers/auth.json", &wrong.to_string());
    let refused = pulling(["login", &host]).output();
    refused.assert_exit(1).assert_stderr_has("/auth.json: ");
    refused.assert_stderr_has("HTTP 401 Unauthorized");
    refused.assert_stderr_has("login: no terminal to ask for the user name and the password\n");
}

/// As GitHub's runner does it, under the name that it calls.
fn config_flag_names_the_directory_of_the_logins() {
    prepared();
    let depot = Depot::new(Manners::default());
    depot.leave("app", "1", &small());
    let take = |request: &runtime_tests::registry::Request| {
        let shown = request.headers.get("authorization").map(String::as_str);
        match shown == Some("Basic dGVzdGVyOnNlY3JldA==") || request.path == "/token" {
            true => Body::Whole,
            false => Body::Refused(
                Answer::of(401, "", b"").header("WWW-Authenticate", "Basic realm=\"x\""),
            ),
        }
    };
    let server = depot.serve(take, |_, answer| answer);
    let (host, name) = (format!("localhost:{}", server.port), server.name("app:1"));
    let dir = settings("runner");
    let dir = dir.to_str().unwrap();
    let root = home();
    let docker = |args: &[&str]| {
        let all = [&["--root", root.to_str().unwrap()], args].concat();
        unsettled(called("docker", &all))
    };
    docker(&["--config", dir, "login", &host, "-u", "tester", "--password-stdin"])
        .stdin("secret\n")
        .ok();
    let kept: Value =
        serde_json::from_slice(&fs::read(settings("runner/config.json")).unwrap()).unwrap();
    assert_eq!(kept["auths"][&host]["auth"], json!("dGVzdGVyOnNlY3JldA=="));
    docker(&["pull", &name]).output().assert_exit(1).assert_stderr_has("HTTP 401");
    docker(&["--config", dir, "pull", &name]).ok();
    docker(&["--config", dir, "push", &name]).ok();
    // It comes before the environment, and the file of a variable.
    let none = setting("none/config.json", "{}");
    let none = none.to_str().unwrap();
    docker(&["--config", dir, "pull", "-q", &name]).env("REGISTRY_AUTH_FILE", none).ok();
    docker(&["--config", dir, "logout", &host]).ok();
    docker(&["--config", dir, "pull", &name]).output().assert_exit(1);
    // By that name, logins go where Docker's own client looks for them.
    docker(&["login", &host, "-u", "tester", "--password-stdin"]).stdin("secret\n").ok();
    assert!(settings(".docker/config.json").exists() && !settings("containers/auth.json").exists());
    docker(&["pull", "-q", &name]).ok();
}
