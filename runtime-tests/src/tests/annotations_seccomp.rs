//! Annotations about seccomp: a ready-made program, and who answers for it.

use nix::errno::Errno;
use runtime_tests::agent::{Agent, Answer};
use runtime_tests::prelude::*;

use super::annotations::{NO_RUN_OCI, annotated, with};

tests![
    ready_made_filter_replaces_the_section,
    ready_made_filter_needs_no_section,
    broken_filters_are_refused_before_anything_is_made,
    ready_made_filter_may_ask_an_agent,
    receiver_stands_in_for_the_listener_path,
    receiver_must_be_there,
];

const LD_NR: (u16, u8, u8, u32) = (0x20, 0, 0, 0);
const ALLOW: (u16, u8, u8, u32) = (0x06, 0, 0, 0x7fff_0000);

fn jeq(nr: u32, otherwise: u8) -> (u16, u8, u8, u32) {
    (0x15, 0, otherwise, nr)
}

fn ret(value: u32) -> (u16, u8, u8, u32) {
    (0x06, 0, 0, value)
}

/// The filter as the annotation wants it.
fn encode(program: &[(u16, u8, u8, u32)]) -> String {
    let bytes: Vec<u8> = program
        .iter()
        .flat_map(|(code, jt, jf, k)| {
            [&code.to_ne_bytes()[..], &[*jt, *jf], &k.to_ne_bytes()].concat()
        })
        .collect();
    base64(&bytes)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// mkdir fails with EXFULL (54).
pub(super) fn without_mkdir() -> String {
    let mkdir = u32::try_from(libc::SYS_mkdir).unwrap();
    encode(&[LD_NR, jeq(mkdir, 1), ret(0x0005_0000 | 54), ALLOW])
}

pub(super) const BPF: &str = "run.oci.seccomp_bpf_data";

fn ready_made_filter_replaces_the_section() {
    differs!(Runc, "{NO_RUN_OCI}");
    let section = |c: &mut Value| {
        c["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["rmdir", "unlink"], "action": "SCMP_ACT_ERRNO", "errnoRet": 54 }],
        });
    };
    let b = annotated(BPF, &without_mkdir()).with(section).file("/there", "");
    b.run(&["/probe", "mkdir", "/a", "--", "rm", "/there"]).assert_says("EXFULL");

    let no_new_privs = |c: &mut Value| c["process"]["noNewPrivileges"] = json!(true);
    let b = annotated(BPF, &without_mkdir()).with(section).with(no_new_privs);
    b.run(&["/probe", "mkdir", "/a"]).assert_says("EXFULL");

    let c = annotated(BPF, &without_mkdir()).with(section).start(&["/probe", "sleep", "60"]);
    c.exec(&["/probe", "mkdir", "/a"]).assert_says("EXFULL");
    c.end();
}

fn ready_made_filter_needs_no_section() {
    differs!(Runc, "{NO_RUN_OCI}");
    annotated(BPF, &without_mkdir()).run(&["/probe", "mkdir", "/a"]).assert_says("EXFULL");
}

fn broken_filters_are_refused_before_anything_is_made() {
    differs!(Runc, "{NO_RUN_OCI}");
    differs!(Crun, "1.8.1 loads what it gets when the container starts");
    for (value, why) in [
        (
            String::new(),
            "0 bytes are not a BPF program: an instruction has 8, and there are 1 to 4096",
        ),
        ("AAAA!AAA".into(), "not base64 at character 4"),
        (base64(&[6, 0, 0, 0]), "4 bytes are not a BPF program"),
        (encode(&[LD_NR]), "the last instruction does not return"),
        (
            encode(&[(0x20, 0, 0, 2), ALLOW]),
            "instruction 0 (code 0x20, operand 0x2) has an operand out of range",
        ),
        (
            encode(&[jeq(1, 9), ALLOW]),
            "instruction 0 (code 0x15, operand 0x1) jumps out of the program",
        ),
        (
            encode(&[(0x28, 0, 0, 12), ALLOW]),
            "instruction 0 (code 0x28, operand 0xc) is not an operation of seccomp filters",
        ),
        (encode(&vec![ALLOW; 4097]), "32776 bytes are not a BPF program"),
        (
            encode(&[ret(0x7fc0_0000)]),
            "linux.seccomp.listenerPath: is missing, and a rule's action is SCMP_ACT_NOTIFY",
        ),
    ] {
        let output = annotated(BPF, &value).assert_create_refused();
        output.assert_stderr_has(&format!("annotations[{BPF:?}]: {why}"));
    }
}

fn agent() -> Agent {
    Agent::at(&scratch().join("agent.sock"), |_| Answer::Errno(Errno::EXFULL))
}

fn ready_made_filter_may_ask_an_agent() {
    requires!(root());
    differs!(Runc, "{NO_RUN_OCI}");
    let agent = agent();
    let mkdir = u32::try_from(libc::SYS_mkdir).unwrap();
    let program = encode(&[LD_NR, jeq(mkdir, 1), ret(0x7fc0_0000), ALLOW]);
    let b = with(annotated(BPF, &program), "run.oci.seccomp.receiver", agent.path());
    let c = b.start(&["/probe", "mkdir", "/a"]);
    c.wait_status("stopped");
    assert_eq!(c.stdout(), "EXFULL\n");
    c.delete();
    assert_eq!(agent.calls().len(), 1);
    differs!(Crun, "sends the descriptor before the program runs, by other calls");

    // Init must be able to wait for the agent.
    let wait4 = u32::try_from(libc::SYS_wait4).unwrap();
    let program =
        encode(&[LD_NR, jeq(wait4, 1), ret(0x0005_0001), jeq(mkdir, 1), ret(0x7fc0_0000), ALLOW]);
    let b = with(annotated(BPF, &program), "run.oci.seccomp.receiver", agent.path());
    b.assert_create_refused().assert_stderr_has("asks an agent, and does not plainly allow wait4");
}

fn notifying() -> Bundle {
    Bundle::new().with(|c| {
        c["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerMetadata": "who=test",
            "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
        });
        c["annotations"] = json!({});
    })
}

fn receiver_stands_in_for_the_listener_path() {
    requires!(root());
    differs!(Runc, "{NO_RUN_OCI}");
    let agent = agent();
    let b = with(notifying(), "run.oci.seccomp.receiver", agent.path());
    let c = b.start(&["/probe", "mkdir", "/made"]);
    c.wait_status("stopped");
    assert_eq!(c.stdout(), "EXFULL\n");
    c.delete();
    let introductions = agent.introductions();
    assert_eq!(introductions.len(), 1);
    assert_eq!(introductions[0].state["metadata"], "who=test");

    // The field of the specification comes first.
    let b = with(notifying(), "run.oci.seccomp.receiver", "/nowhere/at/all");
    let b = b.with(|c| c["linux"]["seccomp"]["listenerPath"] = json!(agent.path()));
    let c = b.start(&["/probe", "mkdir", "/made"]);
    c.wait_status("stopped");
    assert_eq!(c.stdout(), "EXFULL\n");
    c.delete();
}

fn receiver_must_be_there() {
    requires!(root());
    let b = with(notifying(), "run.oci.seccomp.receiver", "/nowhere/at/all");
    let b = b.args(&["/probe", "mkdir", "/made"]);
    let output = b.run_call().arg(b.id()).output();
    output.assert_fails_somewhere();
    if runtime() == Runtime::Rt {
        output.assert_stderr_has(
            "annotations[\"run.oci.seccomp.receiver\"]: connect(/nowhere/at/all)",
        );
    }
}
