//! What the container's process does before it becomes the payload.
//!
//! Runs in: init, from clone3 to execve. Never returns, never unwinds, never prints. The order is
//! the security argument: each line whose place matters says why it stands there.

use crate::cgroup;
use crate::console;
use crate::container;
use crate::error::{OrHint as _, hinted};
use crate::fds::{Fds, Procfs};
use crate::hooks;
use crate::join;
use crate::labels;
use crate::landlock::{self, Missing};
use crate::launch::{self, clone_flag};
use crate::listener;
use crate::live;
use crate::plan::annotations::{self, DELEGATE_CGROUP};
use crate::plan::{Hook, Kind, Pivot, Plan, Process, seccomp};
use crate::proc;
use crate::process::{self, Rlimits};
use crate::rootfs::path::Root;
use crate::rootfs::{self, device, mask, pivot};
use crate::scheduling;
use crate::sync::{Channel, Message};
use crate::sys::{self, Call as _};
use crate::userns;
use anyhow::{Context as _, Result, bail};
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::socket::{SockFlag, accept4};
use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// Exit code after a failure that was reported to the parent.
const FAILED: i32 = 1;
/// sysexits.h, `EX_SOFTWARE`: a bug of ours.
const BUG: i32 = 70;

/// What the caller of `rt` has passed on, beside the standard streams.
#[derive(Clone, Copy)]
pub(crate) struct Inherited {
    /// Descriptors from 3 on that are for the payload.
    pub(crate) preserve_fds: u32,
    /// Bit n - 1 is signal n. Rust ignores SIGPIPE, an engine may ignore others, and both would
    /// survive execve(2).
    pub(crate) ignored_signals: u64,
}

impl Inherited {
    pub(crate) fn new(preserve_fds: u32) -> Result<Self> {
        Ok(Self { preserve_fds, ignored_signals: crate::proc::ignored_signals()? })
    }
}

/// Whoever waits for news: the parent, later `rt start`.
type Reporter = Arc<std::sync::Mutex<Option<Channel>>>;

/// The first process of a new container.
pub(crate) fn run_create(parent: Channel, plan: &Plan, mut fds: Fds, inherited: Inherited) -> ! {
    run(parent, |parent| {
        let in_v1 = !fds.v1_doors.is_empty();
        cgroup::join(std::mem::take(&mut fds.v1_doors)).context("enter the container's cgroups")?;
        let offsets = begin(parent, plan, &fds.proc)?;
        // With a user namespace it is made there.
        let spaces = &plan.namespaces;
        if in_v1 && spaces.creates(Kind::Cgroup) && !spaces.creates(Kind::User) {
            unshare([Kind::Cgroup].iter())?;
        }
        enter_namespaces(plan, &mut fds, offsets)?;
        create(parent, plan, fds, inherited)
    })
}

/// The same for a container whose user namespace exists: first as its doorkeeper.
pub(crate) fn run_create_by_doorkeeper(
    parent: Channel,
    plan: &Plan,
    mut fds: Fds,
    inherited: Inherited,
) -> ! {
    run(parent, |parent| {
        cgroup::join(std::mem::take(&mut fds.v1_doors)).context("enter the container's cgroups")?;
        let offsets = begin(parent, plan, &fds.proc)?;
        enter_user_namespace(parent, plan, &mut fds, offsets)?;
        with_parent(parent, |parent| parent.expect(&Message::Go))?;
        create(parent, plan, fds, inherited)
    })
}

/// Another process in a running container.
pub(crate) fn run_exec(
    parent: Channel,
    plan: &join::Plan,
    fds: join::Fds,
    inherited: Inherited,
) -> ! {
    run(parent, |parent| exec(parent, plan, fds, inherited))
}

/// Changes the mounts of a running container.
pub(crate) fn run_mounter(parent: Channel, plan: &live::Plan, fds: live::Fds) -> ! {
    run(parent, |parent| {
        with_parent(parent, |parent| parent.expect(&Message::Go))?;
        // For a container in the host's pid namespace, which can see us.
        sys::prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0, 0)?;
        live::run(plan, fds)?;
        // All is done, whether anybody listens or not.
        with_parent(parent, |parent| parent.send(&Message::Ready)).ok();
        sys::exit_now(0)
    })
}

fn run(parent: Channel, life: impl FnOnce(&Reporter) -> Result<Infallible>) -> ! {
    let reporter: Reporter = Arc::new(std::sync::Mutex::new(Some(parent)));
    let for_hook = Arc::clone(&reporter);
    // A panic would end in abort(3). In static musl abort() and raise() use a cached thread id
    // that clone3 does not refresh, so they would signal the *parent*. The hook runs first.
    std::panic::set_hook(Box::new(move |info| {
        let text = format!("internal error, please report: {info}");
        report(&for_hook, &Message::Failed { text, hint: None });
        sys::exit_now(BUG);
    }));
    let Err(err) = life(&reporter);
    report(&reporter, &Message::failed(&err));
    sys::exit_now(FAILED)
}

fn report(reporter: &Reporter, message: &Message) {
    // Nobody is left to tell when this fails.
    if let Ok(channel) = reporter.try_lock()
        && let Some(channel) = channel.as_ref()
    {
        channel.send(message).ok();
    }
}

fn with_parent<T>(reporter: &Reporter, talk: impl FnOnce(&Channel) -> Result<T>) -> Result<T> {
    match reporter.try_lock().ok().as_ref().and_then(|channel| channel.as_ref()) {
        Some(channel) => talk(channel),
        None => bail!("internal error, please report: no channel"),
    }
}

/// Returns the file for the offsets of a new time namespace, if there are any: who writes there needs
/// the rights of its opener, and from here on the files of our /proc directory are not ours.
fn begin(parent: &Reporter, plan: &Plan, proc: &Procfs) -> Result<Option<OwnedFd>> {
    with_parent(parent, |parent| parent.expect(&Message::Go))?;
    let offsets = (!plan.namespaces.time_offsets.is_empty())
        .then(|| proc.open_file("self/timens_offsets", OFlag::O_WRONLY))
        .transpose()?;
    // From here on other processes may share our pid namespace: none may look into our memory or
    // descriptors (CVE-2016-9962). Not before Go: the parent writes files in our /proc directory,
    // which change their owner by this.
    sys::prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0, 0)?;
    Ok(offsets)
}

fn create(
    parent: &Reporter,
    plan: &Plan,
    mut fds: Fds,
    inherited: Inherited,
) -> Result<Infallible> {
    // From inside the cgroup namespace, so that its root is above.
    let delegate = fds.delegate.take().into_iter().collect();
    cgroup::join(delegate).with_context(|| annotations::field(DELEGATE_CGROUP))?;
    // Modes of directories and nodes are as the config says.
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    nix::unistd::setsid().call(|| "setsid()".into())?;
    if plan.session_keyring {
        session_keyring(&plan.id, Some(&fds.proc), &plan.process)?;
    }
    if plan.namespaces.creates(Kind::Network) {
        sys::net::loopback_up().context("bring the loopback link up")?;
    }
    let root = rootfs::build(&plan.rootfs, &mut fds)?;
    if fds.null.is_none() && !plan.rootfs.masked.is_empty() {
        fds.null = Some(mask::open_null()?);
    }
    if plan.parent_acts() {
        with_parent(parent, |parent| {
            parent.send(&Message::Mounted)?;
            parent.expect(&Message::HooksDone)
        })?;
    }
    // Their paths are those of the host, so before pivot_root.
    let hooks = &plan.hooks.create_container;
    let output = std::mem::take(&mut fds.hooks_output);
    hooks::run(hooks, &hook_state(plan, hooks, &fds.proc, "creating")?, &output)?;
    pivot::pivot(&root, &plan.rootfs)?;
    // === no host path exists from here, only descriptors ===
    inside(plan, &root, &mut fds)?;
    let state = hook_state(plan, &plan.hooks.start_container, &fds.proc, "created")?;
    labels::set(&fds.proc, &plan.process)?;
    personality(plan.personality)?;
    scheduling::set_memory_policy(plan.memory_policy.as_ref())?;
    scheduling::enter_all_cpus();
    let ruleset = landlock::ruleset(plan.extensions.landlock.as_ref(), &root, Missing::Refuse)?;
    let filter = plan.seccomp.as_ref();
    let mut payload = give_up(&plan.process, filter, ruleset, Rlimits::Mine, inherited)?;
    // A parked init holds nothing of the host that it need not.
    let needed = !plan.hooks.start_container.is_empty();
    payload.hooks_output = if needed { output } else { hooks::Output::default() };
    let start = fds.start.take();
    // Nothing of the host is left open while init is parked (CVE-2016-9962): an exec may come in.
    drop(fds);
    become_payload(parent, &payload, root, start, || {
        hooks::run(&plan.hooks.start_container, &state, &payload.hooks_output)?;
        Ok(if plan.hooks.start_container.is_empty() { Ran::None } else { Ran::Some })
    })
}

/// The doorkeeper of a new container. Returns in the process that it forks, in all of the container's
/// namespaces; a payload in a pid namespace that is joined could look into it, were it dumpable.
fn enter_user_namespace(
    parent: &Reporter,
    plan: &Plan,
    fds: &mut Fds,
    offsets: Option<OwnedFd>,
) -> Result<()> {
    join::enter_namespaces(std::mem::take(&mut fds.join))?;
    let maps = |name: &str| Ok::<_, anyhow::Error>(proc::id_maps(&fds.proc.read(name)?));
    // An id of the namespace must own what is made from here on.
    userns::become_owner(plan.process.keep_groups, &maps("self/uid_map")?, &maps("self/gid_map")?)?;
    unshare(plan.namespaces.create.iter())?;
    if plan.namespaces.creates(Kind::Time) {
        time_namespace(plan, offsets)?;
    }
    if !with_parent(parent, launch::bear)? {
        sys::exit_now(0);
    }
    Ok(())
}

/// The doorkeeper: invisible in the container, since it stays in the host's pid namespace.
fn exec(
    parent: &Reporter,
    plan: &join::Plan,
    mut fds: join::Fds,
    inherited: Inherited,
) -> Result<Infallible> {
    with_parent(parent, |parent| parent.expect(&Message::Go))?;
    // What is born below inherits this: payloads without CAP_SYS_PTRACE cannot look into it.
    sys::prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0, 0)?;
    cgroup::join(std::mem::take(&mut fds.v1_doors)).context("enter the container's cgroups")?;
    join::enter(plan, &fds)?;
    if plan.user_namespace {
        // As init was: what is made or looked up here belongs to root of that namespace.
        userns::become_owner(plan.process.keep_groups, &plan.uid_maps, &plan.gid_maps)?;
    }
    if let Some(id) = &plan.session_keyring {
        session_keyring(id, fds.proc.as_ref(), &plan.process)?;
    }
    if plan.process.terminal {
        let root = Root::new(sys::mount::open_path(sys::mount::AT_FDCWD, c"/")?);
        terminal(&root, &plan.process, fds.console.take(), Bind::No)?;
    }
    if let Some(proc) = &fds.proc {
        labels::set(proc, &plan.process)?; // kept by the child until its execve(2)
    }
    personality(plan.personality)?;
    scheduling::set_memory_policy(plan.memory_policy.as_ref())?;
    drop(fds);
    let root = Root::new(sys::mount::open_path(sys::mount::AT_FDCWD, c"/")?);
    let ruleset = landlock::ruleset(plan.landlock.as_ref(), &root, Missing::Skip)?;
    drop(root);
    let filter = plan.seccomp.as_ref();
    let payload = give_up(&plan.process, filter, ruleset, Rlimits::Doorkeepers, inherited)?;
    with_parent(parent, |parent| payload.close_others(&[parent.as_fd()]))?;
    if !with_parent(parent, launch::bear)? {
        sys::exit_now(0);
    }
    // === from here on the container's processes see us ===
    nix::unistd::setsid().call(|| "setsid()".into())?;
    if plan.process.terminal {
        console::control().with_context(|| format!("{}.terminal", plan.process.field))?;
    }
    // End-of-file instead: the parent has gone, or does not want us.
    with_parent(parent, |parent| parent.expect(&Message::Go))?;
    process::set_rlimit_of_processes(&plan.process)?;
    scheduling::enter_final_cpus(&plan.process)?;
    let root = Root::new(sys::mount::open_path(sys::mount::AT_FDCWD, c"/")?);
    become_payload(parent, &payload, root, None, || Ok(Ran::None))
}

/// Joins the namespaces that exist and makes those that clone3 did not.
fn enter_namespaces(plan: &Plan, fds: &mut Fds, offsets: Option<OwnedFd>) -> Result<()> {
    let spaces = &plan.namespaces;
    for (kind, fd, field) in std::mem::take(&mut fds.join) {
        sys::clone::setns(fd.as_fd(), clone_flag(kind)).context(field)?;
    }
    if spaces.creates(Kind::User) {
        // An id of the namespace must own what is made from here on. Before unshare: with all
        // flags in one clone3, mqueue's root directory would belong to nobody.
        userns::become_owner(plan.process.keep_groups, &spaces.uid_maps, &spaces.gid_maps)?;
        unshare(spaces.create.iter().filter(|kind| !matches!(kind, Kind::User | Kind::Pid)))?;
    }
    if spaces.creates(Kind::Time) {
        time_namespace(plan, offsets)?;
        // A magic link, which Procfs::open_file refuses; the host's /proc is still in place here.
        let path = Path::new("/proc/self/ns/time_for_children");
        let fd = sys::fd::open(path, OFlag::O_RDONLY)?;
        sys::clone::setns(fd.as_fd(), clone_flag(Kind::Time))?;
    }
    Ok(())
}

fn unshare<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Result<()> {
    let flags =
        kinds.map(|kind| clone_flag(*kind)).fold(CloneFlags::empty(), |all, flag| all | flag);
    // The time namespace has its own order, below.
    let flags = flags - clone_flag(Kind::Time);
    sys::clone::unshare(flags)
        .context("linux.namespaces")
        .hint("raise the limits in /proc/sys/user/max_*_namespaces")
}

/// `time_namespaces(7)`: the offsets can be set only before the first process enters, and unshare(2)
/// does not enter. clone3(2) with `CLONE_NEWTIME` would enter at once.
fn time_namespace(plan: &Plan, file: Option<OwnedFd>) -> Result<()> {
    sys::clone::unshare(clone_flag(Kind::Time)).context("linux.namespaces")?;
    let Some(file) = file else { return Ok(()) };
    for offset in &plan.namespaces.time_offsets {
        let line = format!("{} {} {}\n", offset.clock, offset.secs, offset.nanosecs);
        nix::unistd::write(&file, line.as_bytes())
            .call(|| format!("write(/proc/self/timens_offsets, {:?})", line.trim_end()))
            .with_context(|| format!("linux.timeOffsets.{}", offset.clock))?;
    }
    Ok(())
}

/// The caller's keyring would give the container the host's keys.
/// An exec finds the one that init has made by its name.
fn session_keyring(id: &str, proc: Option<&Procfs>, process: &Process) -> Result<()> {
    let name = CString::new(format!("_ses.{id}"))?;
    let joined = labels::with_key_label(proc, process, || {
        Ok(sys::keyring::join_session_keyring(&name).and_then(sys::keyring::let_owner_search))
    })?;
    match joined {
        Ok(()) => Ok(()),
        // A kernel without keys, or a profile around us that forbids them.
        Err(err) if matches!(err.errno, nix::errno::Errno::ENOSYS | nix::errno::Errno::EPERM) => {
            Ok(())
        }
        Err(err) => Err(err)
            .hint("raise kernel.keys.maxkeys and kernel.keys.maxbytes, or use --no-new-keyring"),
    }
}

/// What is set up in the new root. The read-only things come after the last file is made.
fn inside(plan: &Plan, root: &Root, fds: &mut Fds) -> Result<()> {
    if let Some(name) = &plan.hostname {
        nix::unistd::sethostname(name)
            .call(|| format!("sethostname({name:?})"))
            .context("hostname")?;
    }
    if let Some(name) = &plan.domainname {
        sys::setdomainname(name).context("domainname")?;
    }
    for sysctl in &plan.sysctl {
        fds.proc
            .write(&format!("sys/{}", sysctl.path), sysctl.value.as_bytes())
            .with_context(|| sysctl.field.clone())?;
    }
    if plan.process.terminal {
        terminal(root, &plan.process, fds.console.take(), Bind::Console)?;
    }
    make_cwd(root, &plan.process)?;
    mask::read_only(root, &plan.rootfs)?;
    if let Some(null) = fds.null.take() {
        let label = plan.rootfs.mount_label.as_ref().filter(|_| fds.label_mounts);
        mask::mask(root, &plan.rootfs, null, label)?;
    }
    if plan.rootfs.root_read_only && plan.rootfs.pivot != Pivot::Chroot {
        mask::read_only_root(root).context("root.readonly")?;
    }
    pivot::final_propagation(root, &plan.rootfs).context("linux.rootfsPropagation")
}

/// runc makes a missing working directory, and images rely on it.
fn make_cwd(root: &Root, plan: &Process) -> Result<()> {
    match root.make_dirs(&plan.cwd) {
        Ok(dir) => {
            sys::fd::leave([dir]);
            Ok(())
        }
        // Anything else is told by the chdir(2) as the final user.
        Err(err)
            if err
                .downcast_ref::<sys::Error>()
                .is_some_and(|err| err.errno != nix::errno::Errno::EROFS) =>
        {
            Ok(())
        }
        Err(err) => {
            Err(err).with_context(|| format!("process.cwd ({})", plan.cwd.to_string_lossy()))
        }
    }
}

fn personality(domain: Option<u32>) -> Result<()> {
    domain.map_or(Ok(()), |domain| sys::personality(domain).context("linux.personality"))
}

#[derive(PartialEq, Eq)]
enum Bind {
    Console,
    No,
}

fn terminal(root: &Root, plan: &Process, socket: Option<OwnedFd>, bind: Bind) -> Result<()> {
    let (master, slave) = console::open(root, plan)?;
    if bind == Bind::Console {
        device::bind_console(root, &slave).context("/dev/console")?;
    }
    if let Some(socket) = socket {
        console::send_master(&socket, &master)?;
    }
    drop(master);
    console::adopt(&slave).with_context(|| format!("{}.terminal", plan.field))?;
    match bind {
        Bind::Console => console::control().with_context(|| format!("{}.terminal", plan.field)),
        // The doorkeeper of an exec must not have a controlling terminal, which would hang up at
        // its end.
        Bind::No => Ok(()),
    }
}

/// What is left to do is the same for create and exec.
struct Payload<'a> {
    process: &'a Process,
    seccomp: Option<&'a seccomp::Filter>,
    /// Landlock rules that are not in force yet.
    ruleset: Option<OwnedFd>,
    /// For startContainer hooks.
    hooks_output: hooks::Output,
    /// `CAP_SYS_ADMIN` is kept for rules and filter only.
    keeps_admin: bool,
    /// The capabilities before anything was given up.
    available: u64,
    /// The first descriptor that is not for the payload.
    first: i32,
    ignored_signals: u64,
}

impl Payload<'_> {
    fn close_others(&self, keep: &[BorrowedFd<'_>]) -> Result<()> {
        let ruleset = self.ruleset.as_ref().map(AsFd::as_fd);
        let ours: Vec<_> = self.hooks_output.fds().chain(ruleset).collect();
        Ok(sys::fd::close_others(self.first, &[keep, &ours].concat())?)
    }
}

/// Were there startContainer hooks? Whoever starts the container waits for their end then.
#[derive(PartialEq, Eq)]
enum Ran {
    Some,
    None,
}

const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Gives up every right that the payload does not have.
fn give_up<'a>(
    process: &'a Process,
    seccomp: Option<&'a seccomp::Filter>,
    ruleset: Option<OwnedFd>,
    rlimits: Rlimits,
    inherited: Inherited,
) -> Result<Payload<'a>> {
    // Loading a filter without no_new_privs needs CAP_SYS_ADMIN (seccomp(2)), and so do Landlock's
    // rules. It is kept so that both can come last in any case; the filter has to allow nothing but
    // capset and execve.
    let keeps_admin = (seccomp.is_some() || ruleset.is_some()) && !process.no_new_privs;
    let keep = if keeps_admin { CAP_SYS_ADMIN } else { 0 };
    let available = process::restrict(process, rlimits, keep)?;
    if process.no_new_privs {
        sys::prctl("PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    }
    // A change of ids sets it to fs.suid_dumpable, which may be anything.
    sys::prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0, 0)?;
    Ok(Payload {
        process,
        seccomp,
        ruleset,
        hooks_output: hooks::Output::default(),
        keeps_admin,
        available,
        first: i32::try_from(inherited.preserve_fds).unwrap_or(0) + 3,
        ignored_signals: inherited.ignored_signals,
    })
}

/// Parks, and becomes the payload.
fn become_payload(
    parent: &Reporter,
    payload: &Payload<'_>,
    root: Root,
    start: Option<OwnedFd>,
    start_hooks: impl FnOnce() -> Result<Ran>,
) -> Result<Infallible> {
    let process = payload.process;
    // As the payload's user: a directory which it cannot enter is an error of the config.
    process::enter_cwd(&root, process)?;
    let env = process::environment(&root, process)?;
    drop(root);
    let program = process::find_program(process, &env)?;
    // Nothing is allocated between the filter and execve: a profile may forbid it.
    let argv: Vec<&CStr> = process.args.iter().map(CString::as_c_str).collect();
    let envp: Vec<&CStr> = env.iter().map(CString::as_c_str).collect();

    scheduling::set_own(process);

    with_parent(parent, |parent| {
        // Before parking; without it the sweep before execve follows at once.
        if let Some(start) = &start {
            payload.close_others(&[parent.as_fd(), start.as_fd()])?;
        }
        parent.send(&Message::Ready).context("tell the parent: ready")?;
        // End-of-file instead: the parent died before the state was on disk.
        parent.expect(&Message::Created)
    })?;
    if let Some(socket) = &start {
        wait_for_start(parent, socket)?;
    }
    drop(start);
    if start_hooks()? == Ran::Some {
        with_parent(parent, |starter| starter.send(&Message::HooksDone))?;
    }

    sys::reset_signals(payload.ignored_signals)?;
    with_parent(parent, |parent| payload.close_others(&[parent.as_fd()]))?;
    (3..payload.first).try_for_each(sys::fd::inherit).context("--preserve-fds")?;
    // Before the filter, which need not allow it; after the hooks, which are not the payload.
    if let Some(ruleset) = &payload.ruleset {
        landlock::restrict(ruleset)?;
    }
    if let Some(filter) = payload.seccomp {
        match &filter.notify {
            Some(notify) => with_parent(parent, |parent| listener::load(parent, filter, notify))?,
            None => {
                sys::seccomp::load(&filter.program, filter.flags).context("linux.seccomp")?;
            }
        }
    }
    if payload.keeps_admin {
        process::give_up_kept(process.capabilities, payload.available)?;
    }
    let errno = sys::execve(&program, &argv, &envp);
    let landlocked = payload.ruleset.is_some();
    Err(explain_exec(&program, errno, landlocked))
        .with_context(|| format!("{}.args[0]", process.field))
}

fn explain_exec(program: &CStr, errno: nix::errno::Errno, landlocked: bool) -> anyhow::Error {
    use nix::errno::Errno;
    let not_allowed = if landlocked {
        "\"exec\" of the Landlock rules must have the program, and what its #! line or ELF header names"
    } else {
        "the file must be executable and on a mount without noexec"
    };
    let err = sys::Error::new(format!("exec {}", program.to_string_lossy()), errno);
    hinted(
        err,
        &[
            (Errno::ENOENT, "the file exists, its interpreter does not: see `file` or its #! line"),
            (Errno::EACCES, not_allowed),
            (Errno::ENOEXEC, "the file is for another architecture, or a script without #! line"),
        ],
    )
}

/// Parks until `rt start` connects. From then on it gets the news.
fn wait_for_start(reporter: &Reporter, socket: &OwnedFd) -> Result<()> {
    // The parent goes its way. Its end of the channel must not be waited for any more.
    if let Ok(mut channel) = reporter.try_lock() {
        drop(channel.take());
    }
    let connection = loop {
        match accept4(socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            Err(nix::errno::Errno::EINTR) => {}
            other => break other.call(|| "accept4(start socket)".into())?,
        }
    };
    // SAFETY: accept4(2) has just returned this descriptor, nobody else knows it.
    #[expect(unsafe_code, reason = "nix returns a raw descriptor here")]
    let connection = unsafe { OwnedFd::from_raw_fd(connection) };
    if let Ok(mut channel) = reporter.try_lock() {
        *channel = Some(Channel::new(connection));
    }
    Ok(())
}

/// The state on the stdin of hooks, if there are any. The pid is the one that the host sees.
fn hook_state(plan: &Plan, hooks: &[Hook], proc: &Procfs, status: &str) -> Result<String> {
    if hooks.is_empty() {
        return Ok(String::new());
    }
    Ok(container::state::for_hooks(plan, status, proc.own_pid()?))
}
