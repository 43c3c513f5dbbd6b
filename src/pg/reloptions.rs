//! The options of an index of dimspace: `WITH (cells = ..., planes = ..., ...)`.

use std::ffi::CStr;
use std::mem::offset_of;
use std::sync::OnceLock;

use pgrx::pg_sys;

/// The options, as `build_reloptions` lays them out.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Options {
    length_word: i32,
    /// Cells; 0: as many as rows ask for.
    pub cells: i32,
    /// Byte planes: 1 or 2.
    pub planes: i32,
    /// Rows of a tail that begin a fold; 0: as many as the cell asks for.
    pub fold_rows: i32,
    /// Dimensions; 0: those of the column or of the first row.
    pub dimensions: i32,
    /// Whether to store one-bit codes.
    pub one_bit: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { length_word: 0, cells: 0, planes: 2, fold_rows: 0, dimensions: 0, one_bit: false }
    }
}

/// An option that is a number: name, what it says, default, least, greatest, where it lies, the lock that ALTER INDEX takes.
type Number = (&'static CStr, &'static CStr, i32, i32, i32, usize, u32);

/// What shapes the index needs a rebuild; what the next insert reads does not keep others from inserting.
const NUMBERS: [Number; 4] = [
    (
        c"cells",
        c"Cells of the index; 0: one for 500 rows.",
        0,
        0,
        65_536,
        offset_of!(Options, cells),
        pg_sys::AccessExclusiveLock,
    ),
    (c"planes", c"Bytes that code a value: 1 or 2.", 2, 1, 2, offset_of!(Options, planes), pg_sys::AccessExclusiveLock),
    (
        c"fold_rows",
        c"Rows added to a cell before they are coded together; 0: a 32nd of the cell.",
        0,
        0,
        100_000,
        offset_of!(Options, fold_rows),
        pg_sys::ShareUpdateExclusiveLock,
    ),
    (
        c"dimensions",
        c"Dimensions of all vectors, where the column does not say it; 0: those of the first row.",
        0,
        0,
        16_000,
        offset_of!(Options, dimensions),
        pg_sys::AccessExclusiveLock,
    ),
];
const ONE_BIT: &CStr = c"one_bit";

impl Options {
    /// Reads the options of a relation.
    ///
    /// # Safety
    /// They are null or were made by [`parse`].
    pub(super) unsafe fn of(options: *const pg_sys::bytea) -> Self {
        // SAFETY: as above; made with this layout.
        if options.is_null() { Self::default() } else { unsafe { options.cast::<Self>().read() } }
    }
}

/// Returns the kind of our options, which are registered when first asked for in a backend.
fn kind() -> pg_sys::relopt_kind::Type {
    static KIND: OnceLock<pg_sys::relopt_kind::Type> = OnceLock::new();
    *KIND.get_or_init(|| {
        // SAFETY: called by the backend itself; names and texts are static.
        let kind = unsafe { pg_sys::add_reloption_kind() };
        for (name, text, default, least, greatest, _, lock) in NUMBERS {
            // SAFETY: as above.
            unsafe {
                let lock = lock as pg_sys::LOCKMODE;
                pg_sys::add_int_reloption(kind, name.as_ptr(), text.as_ptr(), default, least, greatest, lock);
            }
        }
        let text = c"Whether one-bit codes are stored.";
        let lock = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: as above.
        unsafe { pg_sys::add_bool_reloption(kind, ONE_BIT.as_ptr(), text.as_ptr(), false, lock) };
        kind
    })
}

/// Parses what `WITH` says; `validate` raises errors.
///
/// # Safety
/// `given` is what the server passes to `amoptions`.
pub(super) unsafe fn parse(given: pg_sys::Datum, validate: bool) -> *mut pg_sys::bytea {
    let element = |name: &'static CStr, opttype, offset: usize| pg_sys::relopt_parse_elt {
        optname: name.as_ptr(),
        opttype,
        offset: offset as i32,
    };
    let mut elements: Vec<_> = NUMBERS
        .iter()
        .map(|&(name, _, _, _, _, offset, _)| element(name, pg_sys::relopt_type::RELOPT_TYPE_INT, offset))
        .collect();
    elements.push(element(ONE_BIT, pg_sys::relopt_type::RELOPT_TYPE_BOOL, offset_of!(Options, one_bit)));
    // SAFETY: as above; the elements say where in `Options` each lies, whose size is given.
    unsafe {
        let size = size_of::<Options>();
        pg_sys::build_reloptions(given, validate, kind(), size, elements.as_ptr(), elements.len() as i32).cast()
    }
}
