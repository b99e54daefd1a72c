//! The groups of a new container: its cgroup, made by us or by systemd, and its resctrl group.
//!
//! Runs in: parent.

use super::Host;
use crate::cgroup::systemd::Started;
use crate::cgroup::{self, Cgroup, devices::Filter};
use crate::container::state::State;
use crate::error::OrHint as _;
use crate::fds::Fds;
use crate::plan::Plan;
use crate::plan::cgroup::Driver;
use crate::plan::rootfs::Step;
use crate::resctrl;
use anyhow::{Context as _, Result};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

pub(super) struct Groups<'a> {
    host: &'a Host,
    plan: &'a Plan,
    /// `None`: the container stays in our cgroup.
    place: Option<Place>,
    unit: Option<Started>,
    cgroup: Option<Cgroup>,
    resctrl: Option<resctrl::Place>,
    resctrl_made: resctrl::Made,
}

/// Where the container's cgroups will be.
struct Place {
    host: cgroup::Host,
    /// `None`: systemd will tell.
    path: Option<PathBuf>,
    v1: Vec<cgroup::Place>,
}

impl<'a> Groups<'a> {
    /// Errors of the config come out before anything is made.
    pub(super) fn find(host: &'a Host, plan: &'a Plan) -> Result<Self> {
        Ok(Self {
            host,
            plan,
            place: Place::find(plan, host.cgroup_driver())?,
            unit: None,
            cgroup: None,
            resctrl: resctrl::place(plan.intel_rdt.as_ref(), &plan.id)?,
            resctrl_made: resctrl::Made::default(),
        })
    }

    /// Says what will be made, so that `delete` finds it if we are killed half-way.
    pub(super) fn announce(&self, state: &mut State) {
        if let Some(place) = &self.place {
            state.cgroup.clone_from(&place.path);
            state.cgroup_v1.clone_from(&place.v1);
        }
        state.resctrl = self.resctrl.as_ref().map(|place| place.group.clone());
    }

    pub(super) fn make(&mut self, state: &mut State) -> Result<()> {
        self.start_unit()?;
        state.systemd_unit = self.unit.as_ref().map(|unit| unit.unit().clone());
        self.cgroup = self.make_cgroup()?;
        state.cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
        state.cgroup_v1 = self.cgroup.as_ref().map(Cgroup::v1_places).unwrap_or_default();
        if let (Some(place), Some(rdt)) = (&self.resctrl, &self.plan.intel_rdt) {
            place.make(rdt, &self.plan.id, &mut self.resctrl_made).context("linux.intelRdt")?;
            state.resctrl_made = place.lasting(self.resctrl_made);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup::delegate::give(self.plan, cgroup)?;
        }
        Ok(())
    }

    /// What init needs to enter them and to mount them.
    pub(super) fn open(&self, state: &State, fds: &mut Fds) -> Result<()> {
        let cgroup = self.cgroup.as_ref();
        let path = cgroup.map(|cgroup| cgroup.path().as_os_str().as_bytes());
        fds.own_cgroup = path.map(CString::new).transpose()?;
        fds.delegate = cgroup::delegate::make(self.plan, cgroup)?;
        fds.v1_doors = cgroup.map(Cgroup::v1_doors).transpose()?.unwrap_or_default();
        fds.v1_doors.extend(resctrl::doors(state.resctrl.as_deref(), &self.plan.id)?);
        let mut mounts = self.plan.rootfs.steps.iter().filter_map(|step| match step {
            Step::Cgroup(mount) => Some(mount),
            Step::FileSystem(_) | Step::Bind(_) | Step::Remount(_) => None,
            Step::Device(_) | Step::Symlink(_) => None,
        });
        if let (Some(place), Some(first)) = (&self.place, mounts.next()) {
            fds.hierarchies = place.host.hierarchies(&state.cgroup_v1);
            // Without a cgroup namespace the container's own directory is bound.
            if let Some(cgroup) = cgroup.filter(|_| !first.namespaced) {
                fds.open_cgroup_tree(cgroup.dir())?;
            }
        }
        Ok(())
    }

    pub(super) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// Init is there, and keeps systemd's unit alive from now on.
    pub(super) fn let_go(&mut self) {
        self.unit.as_mut().map(Started::let_go);
    }

    /// The container lives.
    pub(super) fn keep(self) -> Option<Cgroup> {
        self.cgroup
    }

    /// Removes what was made.
    pub(super) fn undo(self) -> [Result<()>; 3] {
        let resctrl = self.resctrl.map_or(Ok(()), |place| {
            resctrl::remove(&place.group, self.resctrl_made, &self.plan.id)
        });
        [self.cgroup.map_or(Ok(()), Cgroup::undo), self.unit.map_or(Ok(()), Started::stop), resctrl]
    }

    /// systemd makes the cgroup; in the v1 hierarchies we follow it.
    fn start_unit(&mut self) -> Result<()> {
        let (Some(place), Some(unit)) = (&mut self.place, &self.plan.cgroup.unit) else {
            return Ok(());
        };
        let unit = self.unit.insert(Started::new(self.host.systemd(), unit, &place.host)?);
        if let Some(name) = &self.plan.extensions.systemd_subgroup {
            unit.descend(name)?;
        }
        place.v1 = place.host.v1_places_like(unit.path())?;
        place.path = Some(unit.path().to_owned());
        Ok(())
    }

    fn make_cgroup(&self) -> Result<Option<Cgroup>> {
        let (host, plan) = (self.host, self.plan);
        let Some(place) = &self.place else { return Ok(None) };
        let Some(path) = &place.path else { return Ok(None) };
        let limits = &plan.cgroup.limits;
        let limited = limits.writes.iter().any(|write| !write.is_default);
        let made = match &self.unit {
            None => Cgroup::create(&place.host, path, &place.v1, limits),
            Some(unit) => Cgroup::adopt(&place.host, path, &place.v1, limits)
                .map(|(cgroup, filter)| (cgroup.of_unit(unit.unit()), filter)),
        };
        match made {
        Ok((cgroup, Filter::Refused(err))) if !host.is_rootless() => {
            let err = anyhow::Error::from(err).context("linux.resources.devices");
            let err = match cgroup.undo() {
                Ok(()) => err,
                Err(other) => err.context(format!("clean up: {other:#}")),
            };
            Err(err).hint("loading a device filter needs CAP_BPF or CAP_SYS_ADMIN on the host")
        }
        Ok((cgroup, _)) => Ok(Some(cgroup)),
        // An ordinary user without a delegated cgroup runs without one, unless the config asks for
        // something that only a cgroup gives.
        Err(err)
            if cgroup::is_denied(&err)
                && host.is_rootless()
                && !limited
                && !plan.cgroup.explicit =>
        {
            host.log
                .warning(&format!("no cgroup for the container: {}", crate::error::chain(&err)));
            Ok(None)
        }
        Err(err) if cgroup::is_denied(&err) && host.is_rootless() => Err(err).hint(
            "remove linux.cgroupsPath and the limits, or have a cgroup delegated, for example by: \
             systemd-run --user --scope -p Delegate=yes",
        ),
        Err(err) => Err(err),
    }
    }
}

impl Place {
    fn find(plan: &Plan, driver: Driver) -> Result<Option<Self>> {
        if driver == Driver::Disabled {
            return Ok(None);
        }
        let host = cgroup::Host::detect()?;
        host.check(&plan.cgroup.limits)?;
        if driver == Driver::Systemd {
            return Ok(Some(Self { host, path: None, v1: Vec::new() }));
        }
        let path = Some(host.path(&plan.cgroup.location)?);
        let v1 = host.v1_places(&plan.cgroup.location)?;
        Ok(Some(Self { host, path, v1 }))
    }
}
