//! What the dynamic loader reads from an ELF file, and nothing else of it.
//!
//! Runs in: pure; bytes in, plain data out.

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, FileHeader32, FileHeader64, Machine,
};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, FileKind, StringTable};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// The parts of an ELF file which decide what else has to be loaded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    pub(crate) kind: Kind,
    /// `PT_INTERP`: the loader. Absent in libraries and in static programs.
    pub(crate) interpreter: Option<PathBuf>,
    /// `DT_NEEDED`, in the order of the file, which is the order of the search.
    pub(crate) needed: Vec<OsString>,
    /// `DT_RPATH` and `DT_RUNPATH` as written: joined by colons, `$ORIGIN` not replaced.
    pub(crate) rpath: Option<OsString>,
    pub(crate) runpath: Option<OsString>,
}

/// What a library must share with the program that loads it; ld.so(8) passes over others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `e_machine`.
    pub(crate) machine: Machine,
    pub(crate) is_64: bool,
    pub(crate) big_endian: bool,
}

/// Reads the loader's view of a file; `None` when it is no ELF file.
pub(crate) fn parse(bytes: &[u8]) -> object::read::Result<Option<Elf>> {
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf32) => parse_class::<FileHeader32<Endianness>>(bytes).map(Some),
        Ok(FileKind::Elf64) => parse_class::<FileHeader64<Endianness>>(bytes).map(Some),
        _ => Ok(None),
    }
}

fn parse_class<Header: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::read::Result<Elf> {
    let header = Header::parse(bytes)?;
    let endian = header.endian()?;
    let kind = Kind {
        machine: header.e_machine(endian),
        is_64: header.is_class_64(),
        big_endian: endian == Endianness::Big,
    };
    let mut elf = Elf { kind, interpreter: None, needed: vec![], rpath: None, runpath: None };
    let segments = header.program_headers(endian, bytes)?;
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, bytes)? {
            elf.interpreter = Some(os_string(path).into());
        }
        let Some(entries) = segment.dynamic(endian, bytes)? else { continue };
        let value =
            |tag| entries.iter().find(|e| e.tag(endian) == tag).map(|e| e.d_val(endian).into());
        // The table is named by its address in memory, like everything the loader uses: section
        // headers may be stripped.
        let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else { continue };
        let mut table = StringTable::default();
        for load in segments {
            // A segment cut short says so when its strings are read.
            if let Ok(Some(data)) = load.data_range(endian, bytes, address, size) {
                table = StringTable::new(data, 0, size);
                break;
            }
        }
        for entry in entries {
            match entry.tag(endian) {
                DT_NEEDED => elf.needed.push(os_string(entry.string(endian, table)?)),
                DT_RPATH => elf.rpath = Some(os_string(entry.string(endian, table)?)),
                DT_RUNPATH => elf.runpath = Some(os_string(entry.string(endian, table)?)),
                _ => {}
            }
        }
    }
    Ok(elf)
}

fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::elf_file;

    #[test]
    fn dynamic_section_is_read_without_section_headers() {
        let bytes = elf_file(Some("/lib/ld.so"), &["libb.so", "liba.so"], Some("$ORIGIN/../lib"));
        let elf = parse(&bytes).unwrap().unwrap();
        assert_eq!(
            elf.kind,
            Kind { machine: object::elf::EM_X86_64, is_64: true, big_endian: false }
        );
        assert_eq!(elf.interpreter, Some(PathBuf::from("/lib/ld.so")));
        assert_eq!(elf.needed, ["libb.so", "liba.so"]);
        assert_eq!(elf.runpath, Some(OsString::from("$ORIGIN/../lib")));
        assert_eq!(elf.rpath, None);
    }

    #[test]
    fn other_files_are_no_elf_files() {
        assert_eq!(parse(b"").unwrap(), None);
        assert_eq!(parse(b"#!/bin/sh\necho a script is long enough\n").unwrap(), None);
    }

    #[test]
    fn cut_file_is_an_error() {
        let bytes = elf_file(Some("/lib/ld.so"), &["liba.so"], None);
        assert!(parse(&bytes[..70]).is_err());
    }
}
