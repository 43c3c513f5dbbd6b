//! The server is killed while sessions insert, delete, fold, split and clean up: nothing that was committed is lost.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use fixtures::noise::Noise;
use pg_test::{Cluster, Result};

use super::every_plan::{assert_every_plan_agrees, make_mixture, ranges_of_mixture};
use super::workers::{Work, work};
use super::{figure, problems};
use crate::dimvec::session;
use crate::support::Database;

const ROUNDS: usize = 6;

/// Kills the server after a while in which many work.
fn kill_at_work(db: &Database, round: usize, after: Duration) -> Result<()> {
    let stop = AtomicBool::new(false);
    let stop = &stop;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..5)
            .map(|worker| {
                let kind = if worker == 0 { Work::Vacuum } else { Work::Write };
                scope.spawn(move || work(db, worker, round, kind, stop))
            })
            .collect();
        thread::sleep(after);
        let killed = db.cluster().kill9();
        let steps: Vec<usize> =
            workers.into_iter().map(|worker| worker.join().expect("it does not panic")).collect::<Result<_>>()?;
        println!("round {round}: {steps:?} steps in {after:?}");
        assert!(steps.iter().all(|&steps| steps > 0), "all were at work: {steps:?}");
        killed
    })
}

#[test]
fn kills_while_many_write_leave_a_sound_index() -> Result<()> {
    let db = Database::in_own_cluster(Cluster::builder().setting("wal_consistency_checking = generic"))?;
    make_mixture(&mut session(&db)?, 11, 3000)?;
    let mut random = Noise::new(std::process::id().into(), "kill");
    for round in 0..ROUNDS {
        kill_at_work(&db, round, Duration::from_millis(900 + random.next_u64() % 900))?;
        db.cluster().start()?;
        let mut client = session(&db)?;
        assert_every_plan_agrees(&mut client, &ranges_of_mixture(12))?;
        assert_eq!(problems(&mut client, "i")?, Vec::<String>::new(), "round {round}");
        if round % 2 == 1 {
            client.batch_execute("CHECKPOINT")?;
        }
    }
    let mut client = session(&db)?;
    assert!(figure(&mut client, "i", "cells")? > 6, "cells were split");
    client.batch_execute("VACUUM t")?;
    assert_every_plan_agrees(&mut client, &ranges_of_mixture(12))?;
    assert_eq!(problems(&mut client, "i")?, Vec::<String>::new());
    Ok(())
}
