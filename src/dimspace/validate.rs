//! What an operator class of dimspace has to have.

use pgrx::pg_sys::Oid;

use crate::pg::spi;

/// The rules, each with the rows that break it.  Classes of other types than dimvec say how to make one of a value.
const PROBLEMS: &str = "\
    WITH class AS (SELECT c.* FROM pg_catalog.pg_opclass c WHERE c.oid = $1), \
    operators AS (SELECT a.*, o.oprresult, o.oprleft, o.oprright FROM class c \
        JOIN pg_catalog.pg_amop a ON a.amopfamily = c.opcfamily JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr), \
    functions AS (SELECT a.*, p.prorettype, p.proargtypes::oid[] AS arguments FROM class c \
        JOIN pg_catalog.pg_amproc a ON a.amprocfamily = c.opcfamily JOIN pg_catalog.pg_proc p ON p.oid = a.amproc) \
    SELECT format('operator family \"%s\" of access method dimspace: ', f.opfname) || problem \
    FROM class JOIN pg_catalog.pg_opfamily f ON f.oid = class.opcfamily, LATERAL ( \
        SELECT format('operator %s has strategy %s, which is not <@ for searches', amopopr::regoperator, amopstrategy) \
        FROM operators WHERE amopstrategy <> 1 OR amoppurpose <> 's' \
        UNION ALL SELECT format('operator %s is not (type, dim_range) with a boolean result', amopopr::regoperator) \
        FROM operators WHERE oprresult <> 'boolean'::regtype OR oprleft <> amoplefttype OR oprright <> 'atoms.dim_range'::regtype \
        UNION ALL SELECT format('no operator <@ of %s', opcintype::regtype) \
        WHERE NOT EXISTS (SELECT FROM operators WHERE amopstrategy = 1 AND amoplefttype = opcintype) \
        UNION ALL SELECT format('function %s has the number %s, which is not 1 or 2', amproc::regprocedure, amprocnum) \
        FROM functions WHERE amprocnum NOT IN (1, 2) \
        UNION ALL SELECT format('function %s is not () with an integer, the number of a metric', amproc::regprocedure) \
        FROM functions WHERE amprocnum = 1 AND (prorettype <> 'integer'::regtype OR cardinality(arguments) > 0) \
        UNION ALL SELECT format('function %s is not (type, integer, boolean) with a dimvec', amproc::regprocedure) \
        FROM functions WHERE amprocnum = 2 AND (prorettype <> 'atoms.dimvec'::regtype OR cardinality(arguments) <> 3 OR \
            (arguments[0], arguments[1], arguments[2]) <> (amproclefttype, 'integer'::regtype::oid, 'boolean'::regtype::oid)) \
        UNION ALL SELECT format('no function %s of %s', number, opcintype::regtype) FROM generate_series(1, 2) number \
        WHERE (number = 1 OR opcintype <> 'atoms.dimvec'::regtype) \
            AND NOT EXISTS (SELECT FROM functions WHERE amprocnum = number AND amproclefttype = opcintype)) p (problem)";

/// Tells whether an operator class is complete and fits; says what does not.
pub fn validate(class: Oid) -> bool {
    let problems: Vec<String> = spi::query(PROBLEMS, &[class.into()], |row| row.get(1));
    problems.iter().for_each(|problem| pgrx::info!("{problem}"));
    problems.is_empty()
}
