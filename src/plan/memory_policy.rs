//! `linux.memoryPolicy`: from which memory nodes the payload gets its memory.
//!
//! Runs in: parent. Pure. See `set_mempolicy(2)`.

use super::number_set::NumberSet;
use anyhow::{Result, ensure};
use oci_spec::runtime::{LinuxMemoryPolicy, MemoryPolicyFlagType, MemoryPolicyModeType};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryPolicy {
    /// `MPOL_BIND`
    pub(crate) name: &'static str,
    /// Mode and flags in one, as the call takes them.
    pub(crate) mode: u32,
    pub(crate) nodes: Option<NumberSet>,
}

/// The numbers are their places in `enum` of linux/mempolicy.h.
pub(crate) const MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

pub(crate) const FLAGS: [&str; 3] =
    ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

/// mm/mempolicy.c, `get_nodes`: as many bits as a page has.
const LAST_NODE: usize = 4096 * 8 - 1;

impl MemoryPolicy {
    pub(crate) fn new(spec: Option<&LinuxMemoryPolicy>) -> Result<Option<Self>> {
        let Some(spec) = spec else { return Ok(None) };
        let field = "linux.memoryPolicy";
        let (mode, name) = mode(spec.mode());
        let nodes = match spec.nodes().as_deref() {
            None | Some("") => None,
            Some(list) => {
                Some(NumberSet::new("linux.memoryPolicy.nodes", "node", list, LAST_NODE)?)
            }
        };
        let (takes_nodes, needs_nodes) = match spec.mode() {
            MemoryPolicyModeType::MpolDefault | MemoryPolicyModeType::MpolLocal => (false, false),
            // set_mempolicy(2): without nodes it is MPOL_LOCAL.
            MemoryPolicyModeType::MpolPreferred => (true, false),
            MemoryPolicyModeType::MpolBind
            | MemoryPolicyModeType::MpolInterleave
            | MemoryPolicyModeType::MpolPreferredMany
            | MemoryPolicyModeType::MpolWeightedInterleave => (true, true),
        };
        ensure!(
            takes_nodes || nodes.is_none(),
            "{field}.nodes: {name} takes no nodes; remove them"
        );
        ensure!(
            !needs_nodes || nodes.is_some(),
            "{field}.nodes: {name} needs nodes such as \"0-3,7\""
        );
        let bits = spec.flags().iter().flatten().map(|flag| flag_bit(*flag)).fold(0, |a, b| a | b);
        ensure!(
            bits & BOTH_NODES != BOTH_NODES,
            "{field}.flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"
        );
        Ok(Some(Self { name, mode: mode | bits, nodes }))
    }
}

const BOTH_NODES: u32 = 1 << 14 | 1 << 15;

fn mode(mode: MemoryPolicyModeType) -> (u32, &'static str) {
    let number = match mode {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    (number, MODES.get(number as usize).copied().unwrap_or_default())
}

fn flag_bit(flag: MemoryPolicyFlagType) -> u32 {
    match flag {
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<MemoryPolicy> {
        MemoryPolicy::new(Some(&serde_json::from_str(json)?)).map(Option::unwrap)
    }

    #[test]
    fn modes_and_flags_are_one_number() {
        for (number, name) in (0..).zip(MODES) {
            let nodes = if matches!(number, 0 | 4) { "" } else { "0" };
            let plan = plan(&format!(r#"{{"mode":"{name}","nodes":"{nodes}"}}"#)).unwrap();
            assert_eq!((plan.mode, plan.name), (number, name));
        }
        for (bit, name) in (13..).zip(FLAGS) {
            let json = format!(r#"{{"mode":"MPOL_BIND","nodes":"0-1","flags":["{name}"]}}"#);
            let plan = plan(&json).unwrap();
            assert_eq!(plan.mode, 2 | 1 << bit);
        }
    }

    #[test]
    fn there_may_be_any_number_of_nodes() {
        let nodes = |list: &str| {
            let plan = plan(&format!(r#"{{"mode":"MPOL_INTERLEAVE","nodes":"{list}"}}"#));
            plan.map(|plan| plan.nodes.unwrap().mask)
        };
        assert_eq!(nodes("0-4000").unwrap().len(), 63);
        assert_eq!(nodes("32767").unwrap().len(), 512);
        assert_eq!(
            nodes("32768").unwrap_err().to_string(),
            "linux.memoryPolicy.nodes: there is no node 32768; the kernel knows 0 to 32767"
        );
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let error = |json: &str| plan(json).unwrap_err().to_string();
        assert_eq!(
            error(r#"{"mode":"MPOL_LOCAL","nodes":"0"}"#),
            "linux.memoryPolicy.nodes: MPOL_LOCAL takes no nodes; remove them"
        );
        assert_eq!(
            error(r#"{"mode":"MPOL_BIND"}"#),
            "linux.memoryPolicy.nodes: MPOL_BIND needs nodes such as \"0-3,7\""
        );
        assert_eq!(
            error(
                r#"{"mode":"MPOL_BIND","nodes":"0",
                    "flags":["MPOL_F_STATIC_NODES","MPOL_F_RELATIVE_NODES"]}"#
            ),
            "linux.memoryPolicy.flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"
        );
    }
}
