use super::*;
use tar::{Builder, EntryType};

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4755);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(3);
    header
}

fn written(write: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    write(&mut builder);
    builder.into_inner().unwrap()
}

fn first(bytes: &[u8]) -> (Entry, Vec<u8>) {
    let mut archive = Archive::new(bytes);
    let entry = archive.next().unwrap().unwrap();
    let mut data = Vec::new();
    archive.read_to_end(&mut data).unwrap();
    (entry, data)
}

fn error(bytes: &[u8]) -> String {
    let mut archive = Archive::new(bytes);
    loop {
        match archive.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error"),
            Err(err) => return crate::error::chain(&err),
        }
    }
}

#[test]
fn entries_come_with_their_data_and_attributes() {
    let bytes = written(|tar| {
        tar.append_data(&mut header(EntryType::Regular, 5), "a/b", &b"hello"[..]).unwrap();
        tar.append_data(&mut header(EntryType::Directory, 0), "d/", &b""[..]).unwrap();
    });
    let mut archive = Archive::new(&bytes[..]);
    let entry = archive.next().unwrap().unwrap();
    assert_eq!((entry.path.to_str(), &entry.kind), (Some("a/b"), &Kind::File));
    assert_eq!((entry.mode, entry.uid, entry.gid, entry.size), (0o4755, 1, 2, 5));
    assert_eq!(entry.mtime, Time { seconds: 3, nanoseconds: 0 });
    // Its data is skipped when nobody reads it.
    assert_eq!(archive.next().unwrap().unwrap().kind, Kind::Directory);
    assert!(archive.next().unwrap().is_none());
}

#[test]
fn long_names_come_by_gnu_and_by_pax() {
    let long = "d/".repeat(150) + "f";
    let gnu = written(|tar| {
        let mut link = header(EntryType::Symlink, 0);
        tar.append_link(&mut link, &long, "t".repeat(150)).unwrap();
    });
    let (entry, _) = first(&gnu);
    assert_eq!(entry.path.to_str(), Some(long.as_str()));
    assert_eq!(entry.kind, Kind::Symlink("t".repeat(150).into()));
    let pax = written(|tar| {
        let records = [
            ("path", long.as_bytes()),
            ("mtime", b"-1.25"),
            ("uid", b"70000"),
            ("size", b"2"),
            ("SCHILY.xattr.user.x", b"a\nb"),
        ];
        tar.append_pax_extensions(records).unwrap();
        tar.append_data(&mut header(EntryType::Regular, 2), "short", &b"hi"[..]).unwrap();
    });
    let (entry, data) = first(&pax);
    assert_eq!((entry.path.to_str(), entry.uid), (Some(long.as_str()), 70_000));
    assert_eq!(entry.mtime, Time { seconds: -2, nanoseconds: 750_000_000 });
    assert_eq!(entry.xattrs, [("user.x".to_owned(), b"a\nb".to_vec())]);
    assert_eq!(data, b"hi");
}

#[test]
fn sparse_files_are_found_in_all_formats() {
    let wanted = Kind::Sparse {
        pieces: vec![Piece { offset: 1024, length: 3 }, Piece { offset: 4096, length: 2 }],
        length: 8192,
    };
    let pax = |records: &[(&str, &[u8])], data: &[u8]| {
        written(|tar| {
            tar.append_pax_extensions(records.iter().copied()).unwrap();
            let mut header = header(EntryType::Regular, data.len() as u64);
            tar.append_data(&mut header, "GNUSparseFile.1/x", data).unwrap();
        })
    };
    let name: (&str, &[u8]) = ("GNU.sparse.name", b"x");
    let with_map =
        pax(&[name, ("GNU.sparse.size", b"8192"), ("GNU.sparse.map", b"1024,3,4096,2")], b"abcde");
    let one_by_one = pax(
        &[
            name,
            ("GNU.sparse.size", b"8192"),
            ("GNU.sparse.offset", b"1024"),
            ("GNU.sparse.numbytes", b"3"),
            ("GNU.sparse.offset", b"4096"),
            ("GNU.sparse.numbytes", b"2"),
        ],
        b"abcde",
    );
    let mut inside = b"2\n1024\n3\n4096\n2\n".to_vec();
    inside.resize(BLOCK, 0);
    inside.extend(b"abcde");
    let realsize: (&str, &[u8]) = ("GNU.sparse.realsize", b"8192");
    let inside = pax(&[name, ("GNU.sparse.major", b"1"), realsize], &inside);
    let mut old = header(EntryType::GNUSparse, 5);
    old.set_path("x").unwrap();
    let gnu = old.as_gnu_mut().unwrap();
    gnu.set_real_size(8192);
    for (piece, (offset, length)) in gnu.sparse.iter_mut().zip([(1024, 3), (4096, 2)]) {
        piece.set_offset(offset);
        piece.set_length(length);
    }
    old.set_cksum();
    let mut old = old.as_bytes().to_vec();
    old.extend(b"abcde");
    old.resize(2 * BLOCK, 0);
    for bytes in [with_map, one_by_one, inside, old] {
        let (entry, data) = first(&bytes);
        assert_eq!((entry.path.to_str(), &entry.kind, entry.size), (Some("x"), &wanted, 5));
        assert_eq!(data, b"abcde");
    }
}

#[test]
fn more_pieces_than_a_header_has_room_for_stand_behind_it() {
    let mut old = header(EntryType::GNUSparse, 5);
    old.set_path("x").unwrap();
    let gnu = old.as_gnu_mut().unwrap();
    gnu.set_real_size(100);
    gnu.set_is_extended(true);
    for (piece, offset) in gnu.sparse.iter_mut().zip([0, 10, 20, 30]) {
        piece.set_offset(offset);
        piece.set_length(1);
    }
    old.set_cksum();
    let mut more = tar::GnuExtSparseHeader::new();
    more.sparse_mut()[0].set_offset(40);
    more.sparse_mut()[0].set_length(1);
    let mut bytes = [&old.as_bytes()[..], more.as_bytes(), b"abcde"].concat();
    bytes.resize(3 * BLOCK, 0);
    let (entry, data) = first(&bytes);
    let Kind::Sparse { pieces, .. } = entry.kind else { panic!("{:?}", entry.kind) };
    assert_eq!((pieces.len(), data), (5, b"abcde".to_vec()));
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    for (map, wanted) in [
        ("10,5,0,5", "a sparse file whose pieces overlap"),
        ("0,5,10,6", "a sparse file whose pieces do not fit: 10 bytes of data, 11 in the map"),
        ("0,5,100,5", "a sparse file whose pieces do not fit: 10 bytes of data, 10 in the map"),
        (
            "0,18446744073709551615",
            "a sparse file whose pieces do not fit: 10 bytes of data, 18446744073709551615 in the map",
        ),
        ("1,18446744073709551615", "a sparse file of impossible size"),
        ("a,b", "PAX record GNU.sparse.map: no numbers"),
    ] {
        let bytes = written(|tar| {
            let size: (&str, &[u8]) = ("GNU.sparse.size", b"50");
            tar.append_pax_extensions([size, ("GNU.sparse.map", map.as_bytes())]).unwrap();
            let mut header = header(EntryType::Regular, 10);
            tar.append_data(&mut header, "x", &b"0123456789"[..]).unwrap();
        });
        assert_eq!(error(&bytes), wanted);
    }
}

#[test]
fn broken_and_huge_headers_are_refused() {
    let one = written(|tar| {
        tar.append_data(&mut header(EntryType::Regular, 5), "a", &b"hello"[..]).unwrap();
    });
    assert_eq!(error(&one[..700]), "the archive is cut off");
    assert_eq!(error(&one[..100]), "the archive is cut off");
    let mut flipped = one.clone();
    flipped[0] ^= 1;
    assert_eq!(error(&flipped), "no tar archive: a header's checksum is wrong");
    let alone = |mut header: Header| {
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    for kind in [EntryType::XHeader, EntryType::XGlobalHeader, EntryType::GNULongName] {
        let huge = alone(header(kind, 8 << 30));
        assert_eq!(error(&huge), "an extended header of 8589934592 bytes, more than 1 MiB");
    }
    let endless = alone(header(EntryType::Regular, u64::MAX / 2));
    assert!(error(&endless).ends_with(": an impossible size"));
    let unknown = alone(header(EntryType::new(b'Z'), 0));
    assert_eq!(error(&unknown), ": entry of unknown kind 'Z'");
    let nowhere = alone(header(EntryType::Symlink, 0));
    assert_eq!(error(&nowhere), ": a link to nothing");
}

#[test]
fn stream_may_end_without_a_marker() {
    let bytes = written(|tar| {
        tar.append_data(&mut header(EntryType::Regular, 5), "a", &b"hello"[..]).unwrap();
    });
    let mut archive = Archive::new(&bytes[..2 * BLOCK]);
    assert!(archive.next().unwrap().is_some());
    assert!(archive.next().unwrap().is_none());
}
