//! The settings `pg_atoms.*`.

use std::ffi::CString;

use formats::Limits;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use vector::distance::Path;

static ALLOWED_DIRS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static IMPORT_GRACE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"1 day"));
static THREADS: GucSetting<i32> = GucSetting::<i32>::new(2);
static HEADER_BYTES_MAX: GucSetting<i32> = GucSetting::<i32>::new(100_000_000);
static TENSORS_MAX: GucSetting<i32> = GucSetting::<i32>::new(1_000_000);
static METADATA_ENTRIES_MAX: GucSetting<i32> = GucSetting::<i32>::new(65_536);
static DIMS_MAX: GucSetting<i32> = GucSetting::<i32>::new(64);
static NESTING_MAX: GucSetting<i32> = GucSetting::<i32>::new(64);
static UNKNOWN_KEYS_MAX: GucSetting<i32> = GucSetting::<i32>::new(4_096);

static SIMD: GucSetting<Simd> = GucSetting::<Simd>::new(Simd::Auto);

/// The instructions that distances are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum Simd {
    #[name = c"auto"]
    Auto,
    #[name = c"avx512"]
    Avx512,
    #[name = c"avx2"]
    Avx2,
    #[name = c"neon"]
    Neon,
    #[name = c"scalar"]
    Scalar,
}

/// Defines the settings; called once per backend.
pub fn define() {
    GucRegistry::define_string_guc(
        c"pg_atoms.allowed_dirs",
        c"Folders of the server that files may be imported from and exported to.",
        c"Absolute paths, joined by commas.  Links that lead out of them are refused.",
        &ALLOWED_DIRS,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"pg_atoms.import_grace",
        c"How long an import that nobody goes on with is kept.",
        c"An interval; vacuum_atoms gives up older ones.",
        &IMPORT_GRACE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"pg_atoms.threads",
        c"Threads that hash for one backend.",
        c"Taken when the backend hashes for the first time.",
        &THREADS,
        1,
        64,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"pg_atoms.simd",
        c"Instructions of the CPU that distances are computed with.",
        c"Results are the same with all; those that the CPU lacks act as the best below them.",
        &SIMD,
        GucContext::Userset,
        GucFlags::default(),
    );
    define_limits();
}

/// Defines what a model file may cost; beyond it a file is stored as opaque bytes.
fn define_limits() {
    let define = |name, short, setting, most| {
        let long = c"A file with more is stored as opaque bytes.";
        GucRegistry::define_int_guc(name, short, long, setting, 1, most, GucContext::Suset, GucFlags::default());
    };
    GucRegistry::define_int_guc(
        c"pg_atoms.header_bytes_max",
        c"Longest header of a model file that is read.",
        c"A file with a longer one is stored as opaque bytes.",
        &HEADER_BYTES_MAX,
        1024,
        1 << 30,
        GucContext::Suset,
        GucFlags::default(),
    );
    define(c"pg_atoms.tensors_max", c"Most tensors that are read from one file.", &TENSORS_MAX, 100_000_000);
    define(
        c"pg_atoms.metadata_entries_max",
        c"Most metadata entries that are read from one file.",
        &METADATA_ENTRIES_MAX,
        100_000_000,
    );
    define(c"pg_atoms.dims_max", c"Most dimensions of a tensor.", &DIMS_MAX, 1024);
    define(c"pg_atoms.nesting_max", c"Most objects and arrays within each other in a JSON header.", &NESTING_MAX, 127);
    define(
        c"pg_atoms.unknown_keys_max",
        c"Most keys in the entry of a tensor that its format does not know.",
        &UNKNOWN_KEYS_MAX,
        1_000_000,
    );
}

/// Returns the folders that server files may lie in.
pub fn allowed_dirs() -> Vec<String> {
    let list = ALLOWED_DIRS.get().unwrap_or_default();
    let list = list.to_string_lossy();
    list.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
}

/// Returns how many threads hash.
pub fn threads() -> usize {
    THREADS.get().max(1) as usize
}

/// Returns the instructions that distances are computed with.
pub fn simd() -> Path {
    match SIMD.get() {
        Simd::Auto => Path::best(),
        Simd::Avx512 => Path::Avx512.or_below(),
        Simd::Avx2 => Path::Avx2.or_below(),
        Simd::Neon => Path::Neon.or_below(),
        Simd::Scalar => Path::Scalar,
    }
}

/// Returns the limits of readers of formats.
pub fn limits() -> Limits {
    Limits {
        header_bytes_max: HEADER_BYTES_MAX.get() as u64,
        tensors_max: TENSORS_MAX.get() as u64,
        // What a name can have in the unique index on tensors.
        name_bytes_max: 2000,
        metadata_entries_max: METADATA_ENTRIES_MAX.get() as u64,
        dims_max: DIMS_MAX.get() as u64,
        nesting_max: NESTING_MAX.get() as u64,
        unknown_keys_max: UNKNOWN_KEYS_MAX.get() as u64,
    }
}
