//! Support functions of the operator classes, and the planner's: how many rows a range has, and what asking a row costs.

use ::dimspace::metric::Metric;
use pgrx::datum::Internal;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use super::selectivity;
use crate::pg::planner;

#[pg_extern(immutable, strict, parallel_safe)]
fn dimspace_cosine_metric() -> i32 {
    Metric::Cosine.number().into()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimspace_l2_metric() -> i32 {
    Metric::L2.number().into()
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimspace_ip_metric() -> i32 {
    Metric::InnerProduct.number().into()
}

#[pg_extern(stable, strict, parallel_safe)]
fn dimspace_sel(root: Internal, _operator: Oid, arguments: Internal, relation: i32) -> f64 {
    selectivity::of(planner::restriction(root, arguments, relation))
}

#[pg_extern(immutable, strict, parallel_safe)]
fn dimspace_range_cost(request: Internal) -> Internal {
    planner::range_cost(request)
}
