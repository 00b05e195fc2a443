use super::{super::info::RouteInfo, *};

#[test]
fn what_is_behind_a_prefix_is_a_path() {
    let behind = |path, segments| {
        let place = Place::new("", path).behind(segments);
        (place.path, place.slash)
    };
    for (path, segments, wanted) in [
        ("/v1/x", 0, ("/v1/x", false)),
        ("/v1/x", 1, ("/x", false)),
        ("/v1", 1, ("/", false)),
        ("/v1/", 1, ("/", true)),
        ("/v1//x", 1, ("//x", false)),
        ("/v1//", 1, ("//", false)),
        ("/a/b/c/d", 2, ("/c/d", false)),
        ("/a/b/", 2, ("/", true)),
        ("/", 0, ("/", false)),
    ] {
        assert_eq!(behind(path, segments), wanted, "{path} {segments}");
    }
}

#[test]
fn the_slash_behind_a_prefix_stays_one_within_further_mounts() {
    assert!(Place::new("", "/v1/").behind(1).behind(0).slash);
}

#[test]
fn rows_are_numbered_through() {
    const ROWS: &[RouteInfo] = &[RouteInfo::EMPTY; 3];
    const NONE: &[RouteInfo] = &[];
    static TABLE: Table = Table::new("", &[], &[], &[], &[], &[]);
    const fn tables(rows: &'static [RouteInfo]) -> Tables {
        Tables::new(&TABLE, Routes::new(rows), Variables::new(&[]))
    }
    const MOUNTS: &[Mount] = &mounts::<3>([
        Mount::new(1, 1, tables(ROWS)),
        Mount::new(2, 1, tables(NONE)),
        Mount::new(4, 1, tables(ROWS)),
    ]);
    // Own, 3 rows, own, 3 rows, own.
    static OUTER: Table = Table::new("", &[], &[], &[], &[], &[]).with_mounts(MOUNTS);
    assert_eq!([0, 3, 5].map(|row| OUTER.numbered(row)), [0, 4, 8]);
    let rows = |row| OUTER.mounted_at(row);
    assert_eq!(rows(1), Some((0, 1..4)));
    assert_eq!(rows(2), Some((1, 4..4)));
    assert_eq!(rows(4), Some((2, 5..8)));
    assert_eq!(rows(3), None);
    assert_eq!(OUTER.mount_count(), 3);
    let owner = |row| {
        let (table, row) = OUTER.owner(row);
        (table.is_some(), row)
    };
    for (row, wanted) in [
        (0, (false, 0)),
        (1, (true, 0)),
        (3, (true, 2)),
        (4, (false, 3)),
        (5, (true, 0)),
        (8, (false, 5)),
    ] {
        assert_eq!(owner(row), wanted, "{row}");
    }
}

#[test]
fn methods_have_the_bits_of_the_gateway_around() {
    let set = |bits| Methods::from_bits(bits);
    let (inner, outer) = (["PURGE", "REPORT"], ["REPORT", "LOCK", "PURGE"]);
    let renamed = |methods: Methods| methods.renamed(&inner, &outer);
    assert_eq!(renamed(Methods::ALL), Methods::ALL);
    assert_eq!(renamed(set(0b101)), set(0b101));
    assert_eq!(renamed(set(1 | 1 << 10)), set(1 | 1 << 12));
    assert_eq!(renamed(set(0b11 << 10)), set(1 << 12 | 1 << 10));
}

mod texts {
    use super::super::merge::*;

    #[test]
    fn a_host_takes_itself_and_a_suffix_what_ends_with_it() {
        for (wide, narrow, takes) in [
            ("a.b", "a.b", true),
            ("a.b", "x.a.b", false),
            ("*.b", "a.b", true),
            ("*.b", "b", false),
            ("*.b", "*.a.b", true),
            ("*.b", "xb", false),
            ("*.a.b", "*.b", false),
            ("*.b", "*.b", true),
        ] {
            assert_eq!(host_takes(wide, narrow), takes, "{wide} {narrow}");
        }
        assert!(hosts_within("a.b|c.b", "x|*.b"));
        assert!(!hosts_within("a.b|c.d", "x|*.b"));
    }
}
