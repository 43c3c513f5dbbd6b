//! What the planner asks: the cost of a scan, and which rows a restriction leaves.

use pgrx::datum::Internal;
use pgrx::pg_sys::submodules::ffi::pg_guard_ffi_boundary;
use pgrx::{FromDatum, pg_guard, pg_sys};
use vector::DimRange;

use super::buffer::IndexPages;
use super::fixed_datum::RangeDatum;
use super::index_relation::OpenIndex;
use super::named_type;
use crate::dimspace::cost::{Shape, Table};

// The server says what it passes.
#[allow(clippy::too_many_arguments)]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amcostestimate(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::IndexPath,
    loops: f64,
    startup: *mut pg_sys::Cost,
    total: *mut pg_sys::Cost,
    selectivity: *mut pg_sys::Selectivity,
    correlation: *mut f64,
    pages: *mut f64,
) {
    // SAFETY: the planner's own path of an index of ours, whose places for results are valid.
    unsafe {
        let index = (*path).indexinfo;
        let share = selectivity_of(root, path);
        let shape = shape_of(index);
        let conditions = f64::from(list_length((*path).indexclauses));
        // The shape is an estimate, and no scan reads more than there is.
        let pages_read = shape.pages_read(conditions).min(f64::from((*index).pages).max(1.0));
        let (random, _) = page_costs((*index).reltablespace);
        let operators = shape.operators(conditions) * pg_sys::cpu_operator_cost;
        // A partial index has fewer rows than the table, of which the share is one.
        let found = share * (*(*index).rel).tuples;
        let run = fetched(root, index, pages_read, loops) * random + operators + found * pg_sys::cpu_index_tuple_cost;
        *startup = run * shape.first_share();
        *total = run;
        *selectivity = share;
        *correlation = correlation_of(root, index, &shape, share, found);
        *pages = pages_read;
    }
}

/// Returns what a page of a tablespace costs anywhere and behind another.
fn page_costs(tablespace: pg_sys::Oid) -> (f64, f64) {
    let (mut random, mut sequential) = (0.0, 0.0);
    // SAFETY: a lookup in a cache; the places for results are valid.
    unsafe { pg_sys::get_tablespace_page_costs(tablespace, &mut random, &mut sequential) }
    (random, sequential)
}

/// Returns how far a scan that finds a share of the rows, so many, finds them in the order of the table.
///
/// # Safety
/// The planner's own structs.
unsafe fn correlation_of(
    root: *mut pg_sys::PlannerInfo,
    index: *mut pg_sys::IndexOptInfo,
    shape: &Shape,
    share: f64,
    found: f64,
) -> f64 {
    // SAFETY: as above.
    unsafe {
        let relation = (*index).rel;
        let (random, sequential) = page_costs((*relation).reltablespace);
        let table = Table { pages: (*relation).pages.into(), random, sequential };
        // As `cost_index` of PostgreSQL rounds.
        let fetched = found.round().max(1.0);
        let pages_anywhere = pg_sys::index_pages_fetched(fetched, (*relation).pages, (*index).pages.into(), root);
        shape.correlation(&table, share, found, pages_anywhere)
    }
}

/// Pages fetched by each of several scans, which find in the cache what an earlier one has read.
///
/// # Safety
/// The planner's own structs.
unsafe fn fetched(root: *mut pg_sys::PlannerInfo, index: *mut pg_sys::IndexOptInfo, pages: f64, loops: f64) -> f64 {
    if loops <= 1.0 {
        return pages;
    }
    // SAFETY: as above.
    unsafe { pg_sys::index_pages_fetched(pages * loops, (*index).pages, (*index).pages.into(), root) / loops }
}

/// # Safety
/// The planner's own structs.
unsafe fn selectivity_of(root: *mut pg_sys::PlannerInfo, path: *mut pg_sys::IndexPath) -> f64 {
    // SAFETY: as above.
    unsafe {
        let index = (*path).indexinfo;
        let clauses = pg_sys::get_quals_from_indexclauses((*path).indexclauses);
        let clauses = pg_sys::add_predicate_to_index_quals(index, clauses);
        let relation = (*(*index).rel).relid as i32;
        let inner = pg_sys::JoinType::JOIN_INNER;
        pg_sys::clauselist_selectivity(root, clauses, relation, inner, std::ptr::null_mut())
    }
}

/// # Safety
/// The planner's own struct of an index of ours.
unsafe fn shape_of(index: *mut pg_sys::IndexOptInfo) -> Shape {
    // SAFETY: as above.
    let (rows, is_imagined) = unsafe { ((*index).tuples, (*index).hypothetical) };
    if is_imagined {
        return Shape::imagined(rows);
    }
    // SAFETY: the planner has locked the indexes of the query's tables.
    let open = unsafe { OpenIndex::locked((*index).indexoid) };
    Shape::of(&IndexPages::of(open.index()), rows)
}

/// The width that statistics have of a column whose values lie out of line: a pointer's.
const POINTER_BYTES: i32 = 18;
/// Operators that take as long as finding a value out of line and putting its pieces together; its pages come on top.
const OPERATORS_PER_VALUE: f64 = 100.0;

/// Answers the planner's question what looking whether a vector lies in a range costs.  Without an answer it takes the price of an operator,
/// which forgets that a vector out of line has to be fetched: a sequential scan would seem cheaper than it is by orders of magnitude.
///
/// Only the planner calls such functions: SQL has no values of the type `internal`.
pub fn range_cost(request: Internal) -> Internal {
    let request = request.unwrap().unwrap_or(pg_sys::Datum::null());
    // SAFETY: the planner's own node, or null.
    let is_answered = unsafe { answer_cost(request.cast_mut_ptr()) };
    // Null, which is not the NULL of SQL, says that there is no answer.
    Internal::from(Some(if is_answered { request } else { pg_sys::Datum::null() }))
}

/// # Safety
/// A node of the planner's, which says by its tag what it is, or null.
unsafe fn answer_cost(node: *mut pg_sys::Node) -> bool {
    // SAFETY: as above.
    unsafe {
        if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_SupportRequestCost {
            return false;
        }
        let request = &mut *node.cast::<pg_sys::SupportRequestCost>();
        if !is_out_of_line(request.root, request.node) {
            return false;
        }
        request.startup = 0.0;
        request.per_tuple = pg_sys::seq_page_cost + OPERATORS_PER_VALUE * pg_sys::cpu_operator_cost;
    }
    true
}

/// Tells whether a function or operator gets a column whose values lie out of line, all or nearly.
///
/// # Safety
/// The planner's own structs, or null.
unsafe fn is_out_of_line(root: *mut pg_sys::PlannerInfo, call: *mut pg_sys::Node) -> bool {
    // SAFETY: as above; nodes say by their tag what they are.
    unsafe {
        if root.is_null() || call.is_null() {
            return false;
        }
        let arguments = match (*call).type_ {
            pg_sys::NodeTag::T_OpExpr => (*call.cast::<pg_sys::OpExpr>()).args,
            pg_sys::NodeTag::T_FuncExpr => (*call.cast::<pg_sys::FuncExpr>()).args,
            _ => return false,
        };
        elements::<pg_sys::Node>(arguments).any(|argument| {
            (*argument).type_ == pg_sys::NodeTag::T_Var && holds_pointers(root, &*argument.cast::<pg_sys::Var>())
        })
    }
}

/// # Safety
/// The planner's own structs.
unsafe fn holds_pointers(root: *mut pg_sys::PlannerInfo, column: &pg_sys::Var) -> bool {
    // SAFETY: as above; the array has a place for each relation.
    unsafe {
        let relation = column.varno as usize;
        let entries = (*root).simple_rte_array;
        if entries.is_null() || column.varlevelsup > 0 || relation >= (*root).simple_rel_array_size as usize {
            return false;
        }
        let entry = *entries.add(relation);
        !entry.is_null()
            && (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && pg_sys::get_attavgwidth((*entry).relid, column.varattno) == POINTER_BYTES
    }
}

/// What a condition `column <@ range` says when the query is planned.
pub enum Restriction {
    /// The range is NULL: no row.
    Nothing,
    /// The range is not known yet, there is no index over the column, or the user may not read it.
    Unknown,
    /// The range, an index over the column, and the share of rows that are not NULL.
    Range(DimRange, OpenIndex, f64),
}

/// Reads the arguments of a function that estimates a restriction.
///
/// Only the planner calls such functions: SQL has no values of the type `internal`.
pub fn restriction(root: Internal, arguments: Internal, relation: i32) -> Restriction {
    let (Some(root), Some(arguments)) = (root.unwrap(), arguments.unwrap()) else { return Restriction::Unknown };
    let mut variable = pg_sys::VariableStatData::default();
    let (mut other, mut is_left) = (std::ptr::null_mut(), false);
    // SAFETY: the planner's own structs, as above; the places for results are valid.
    unsafe {
        let root = root.cast_mut_ptr::<pg_sys::PlannerInfo>();
        let arguments = arguments.cast_mut_ptr();
        if !pg_sys::get_restriction_variable(root, arguments, relation, &mut variable, &mut other, &mut is_left) {
            return Restriction::Unknown;
        }
        let restriction = restriction_of(root, &variable, other);
        if let (false, Some(free)) = (variable.statsTuple.is_null(), variable.freefunc) {
            let statistics = variable.statsTuple;
            pg_guard_ffi_boundary(|| free(statistics));
        }
        restriction
    }
}

/// # Safety
/// What `get_restriction_variable` has found.
unsafe fn restriction_of(
    root: *mut pg_sys::PlannerInfo,
    variable: &pg_sys::VariableStatData,
    other: *mut pg_sys::Node,
) -> Restriction {
    // SAFETY: as above; nodes say by their tag what they are.
    unsafe {
        if other.is_null() || (*other).type_ != pg_sys::NodeTag::T_Const {
            return Restriction::Unknown;
        }
        let range = &*other.cast::<pg_sys::Const>();
        if range.constisnull {
            return Restriction::Nothing;
        }
        let is_column = !variable.rel.is_null()
            && !variable.var.is_null()
            && (*variable.var).type_ == pg_sys::NodeTag::T_Var
            && range.consttype == named_type(c"dim_range");
        if !is_column {
            return Restriction::Unknown;
        }
        let column = (*variable.var.cast::<pg_sys::Var>()).varattno;
        match index_over(variable.rel, column) {
            Some(index) if may_read(root, (*variable.rel).relid, column) => {
                let range = RangeDatum::from_datum(range.constvalue, false).expect("not NULL").0;
                Restriction::Range(range, OpenIndex::locked(index), 1.0 - null_share(variable))
            }
            _ => Restriction::Unknown,
        }
    }
}

/// Returns the share of rows that are NULL, 0 before the first ANALYZE.
///
/// # Safety
/// What `get_restriction_variable` has found.
unsafe fn null_share(variable: &pg_sys::VariableStatData) -> f64 {
    if variable.statsTuple.is_null() {
        return 0.0;
    }
    // SAFETY: a row of pg_statistic.
    let statistics = unsafe { &*pg_sys::GETSTRUCT(variable.statsTuple).cast::<pg_sys::FormData_pg_statistic>() };
    f64::from(statistics.stanullfrac).clamp(0.0, 1.0)
}

/// Returns an index of ours over a whole column.
///
/// # Safety
/// The planner's own struct.
unsafe fn index_over(relation: *mut pg_sys::RelOptInfo, column: i16) -> Option<pg_sys::Oid> {
    // SAFETY: as above; the list holds indexes.
    unsafe {
        let method = pg_sys::get_index_am_oid(c"dimspace".as_ptr(), true);
        elements::<pg_sys::IndexOptInfo>((*relation).indexlist).find_map(|index| {
            let index = &*index;
            let is_ours = index.relam == method && !index.hypothetical && index.indpred.is_null();
            (is_ours && index.nkeycolumns == 1 && *index.indexkeys == i32::from(column)).then_some(index.indexoid)
        })
    }
}

/// Tells whether the query's user may read a column: what an index knows of its values is for nobody else.  A partition's
/// rights are those of the table that the query names.
///
/// # Safety
/// The planner's own struct, and a relation of it.
unsafe fn may_read(root: *mut pg_sys::PlannerInfo, relation: u32, column: i16) -> bool {
    // SAFETY: as above; both arrays have a place for each relation.
    unsafe {
        let mut relation = relation as usize;
        let mut is_child = false;
        while !(*root).append_rel_array.is_null() && !(*(*root).append_rel_array.add(relation)).is_null() {
            relation = (*(*(*root).append_rel_array.add(relation))).parent_relid as usize;
            is_child = true;
        }
        let entry = &**(*root).simple_rte_array.add(relation);
        if entry.rtekind != pg_sys::RTEKind::RTE_RELATION || !entry.securityQuals.is_null() {
            return false;
        }
        let user = if entry.checkAsUser == pg_sys::InvalidOid { pg_sys::GetUserId() } else { entry.checkAsUser };
        let select = pg_sys::ACL_SELECT as pg_sys::AclMode;
        let ok = pg_sys::AclResult::ACLCHECK_OK;
        // Columns of a partition may have other numbers than those of its parent.
        pg_sys::pg_class_aclcheck(entry.relid, user, select) == ok
            || !is_child && pg_sys::pg_attribute_aclcheck(entry.relid, column, user, select) == ok
    }
}

/// Returns the elements of a list of pointers.
///
/// # Safety
/// The list holds pointers to `T`, and stays as it is meanwhile.
unsafe fn elements<T>(list: *const pg_sys::List) -> impl Iterator<Item = *mut T> {
    // SAFETY: as above; places before the length have an element.
    (0..list_length(list) as usize).map(move |place| unsafe { (*(*list).elements.add(place)).ptr_value.cast() })
}

fn list_length(list: *const pg_sys::List) -> i32 {
    // SAFETY: null is the empty list; others say how long they are.
    if list.is_null() { 0 } else { unsafe { (*list).length } }
}
