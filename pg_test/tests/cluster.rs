//! What tests, bench and `make run` rely on, against a real server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pg_test::{Cluster, Error, Result, SUPERUSER, Shutdown};

fn count_rows(cluster: &Cluster) -> Result<i64> {
    Ok(cluster.connect(SUPERUSER)?.query_one("SELECT count(*) FROM t", &[])?.get(0))
}

fn with_table() -> Result<Cluster> {
    let cluster = Cluster::builder().fast().start()?;
    cluster.psql(SUPERUSER, "CREATE TABLE t AS SELECT generate_series(1, 100) AS i")?;
    Ok(cluster)
}

#[test]
fn server_does_not_run_as_root_and_closes_its_directory() -> Result<()> {
    let cluster = with_table()?;
    let process = format!("/proc/{}", cluster.pid().expect("it was just started"));
    assert_ne!(fs::metadata(process).expect("it runs").uid(), 0);
    let base = fs::metadata(cluster.base_dir()).expect("it exists");
    assert_eq!(base.mode() & 0o777, 0o700);
    Ok(())
}

#[test]
fn environment_of_the_caller_does_not_reach_the_server() -> Result<()> {
    // `cargo test` itself runs with CARGO_MANIFEST_DIR set; RUST_BACKTRACE would go the same way.
    let cluster = with_table()?;
    let environment =
        fs::read(format!("/proc/{}/environ", cluster.pid().expect("it runs"))).expect("ours or we are root");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("LC_ALL=C.UTF-8"), "{environment}");
    assert!(!environment.contains("CARGO") && !environment.contains("RUST_BACKTRACE"), "{environment}");
    Ok(())
}

#[test]
fn committed_rows_survive_kill9_and_both_ways_to_stop() -> Result<()> {
    let cluster = with_table()?;
    let before = cluster.pid();
    cluster.kill9()?;
    assert!(!cluster.is_running());
    cluster.start()?;
    assert_ne!(cluster.pid(), before);
    assert_eq!(count_rows(&cluster)?, 100);
    assert!(cluster.log_tail(50).contains("automatic recovery in progress"), "{}", cluster.log_tail(50));
    cluster.stop(Shutdown::Immediate)?;
    cluster.start()?;
    cluster.restart()?;
    assert_eq!(count_rows(&cluster)?, 100);
    Ok(())
}

#[test]
fn kill9_in_the_middle_of_work_leaves_no_process() -> Result<()> {
    let cluster = with_table()?;
    let mut watcher = cluster.connect(SUPERUSER)?;
    let mut busy = cluster
        .command("psql", SUPERUSER)
        .args(["-X", "-c", "INSERT INTO t SELECT generate_series(1, 100000000)"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("psql is there");
    let working = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND state = 'active'";
    while watcher.query_one(working, &[]).expect("the server runs").get::<_, i64>(0) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = cluster.kill9();
    assert!(!busy.wait().expect("it was started").success());
    killed?;
    assert_eq!(processes_in(&cluster.data_dir()), 0);
    cluster.start()?;
    assert_eq!(count_rows(&cluster)?, 100);
    Ok(())
}

fn processes_in(data: &Path) -> usize {
    let stands_in_data = |entry: fs::DirEntry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data);
    fs::read_dir("/proc")
        .expect("this is Linux")
        .flatten()
        .filter(|entry| entry.file_name() != "self")
        .map(stands_in_data)
        .filter(|is| *is)
        .count()
}

#[test]
fn standby_replays_what_is_committed() -> Result<()> {
    let primary = with_table()?;
    let standby = primary.standby()?;
    primary.psql(SUPERUSER, "INSERT INTO t SELECT generate_series(1, 11)")?;
    primary.wait_caught_up(&standby)?;
    assert_eq!(count_rows(&standby)?, 111);
    let refused = standby.psql(SUPERUSER, "INSERT INTO t VALUES (1)");
    assert!(refused.is_err_and(|error| error.to_string().contains("read-only transaction")));
    Ok(())
}

#[test]
fn dump_and_restore_bring_the_rows_back() -> Result<()> {
    let cluster = with_table()?;
    let file = cluster.files_dir().join("t.dump");
    cluster.pg_dump(SUPERUSER, &file)?;
    cluster.create_database("other \"name\"")?;
    cluster.create_database("copy")?;
    cluster.pg_restore("copy", &file)?;
    assert_eq!(cluster.psql("copy", "SELECT count(*) FROM t")?, "100\n");
    Ok(())
}

#[test]
fn settings_reach_the_server() -> Result<()> {
    let cluster =
        Cluster::builder().setting("work_mem = 7MB").checksums(true).initdb_option("--wal-segsize=1").start()?;
    assert_eq!(cluster.psql(SUPERUSER, "SHOW work_mem")?, "7MB\n");
    assert_eq!(cluster.psql(SUPERUSER, "SHOW data_checksums")?, "on\n");
    assert_eq!(cluster.psql(SUPERUSER, "SHOW wal_segment_size")?, "1MB\n");
    assert_eq!(cluster.psql(SUPERUSER, "SHOW fsync")?, "on\n");
    cluster.append_settings("work_mem = 8MB")?;
    cluster.restart()?;
    assert_eq!(cluster.psql(SUPERUSER, "SHOW work_mem")?, "8MB\n");
    Ok(())
}

#[test]
fn loopback_asks_for_the_password_that_the_url_has() -> Result<()> {
    let cluster = with_table()?;
    let connect = |url: &str| postgres::Client::connect(url, postgres::NoTls);
    assert!(connect(&cluster.url(SUPERUSER)).is_ok());
    let wrong = format!("postgresql://{SUPERUSER}:wrong@127.0.0.1:{}/{SUPERUSER}", cluster.port());
    assert!(connect(&wrong).is_err_and(|error| error.code().is_some_and(|code| code.code() == "28P01")));
    Ok(())
}

#[test]
fn a_setting_that_the_server_refuses_ends_with_its_log() {
    let started = Cluster::builder().setting("no_such_parameter = 1").start();
    let Err(Error::Start { log, .. }) = started else { panic!("it started: {started:?}") };
    assert!(log.contains("no_such_parameter"), "{log}");
}

#[test]
fn dropping_a_cluster_removes_it() -> Result<()> {
    let cluster = with_table()?;
    let (base, pid) = (cluster.base_dir().to_path_buf(), cluster.pid().expect("it runs"));
    drop(cluster);
    assert!(!base.exists());
    assert!(!Path::new(&format!("/proc/{pid}/cwd")).exists());
    Ok(())
}

#[test]
fn a_kept_cluster_is_opened_again_and_removed() -> Result<()> {
    let kept = Cluster::builder().keep().start()?;
    kept.psql(SUPERUSER, "CREATE TABLE t AS SELECT 1 AS i")?;
    let base = kept.base_dir().to_path_buf();
    drop(kept);
    let opened = Cluster::open(&base)?;
    assert!(opened.is_running());
    assert_eq!(count_rows(&opened)?, 1);
    opened.remove()?;
    assert!(!base.exists());
    Ok(())
}

/// The other side of `nothing_is_left_when_the_owner_is_killed`: makes a cluster and waits to be killed.
#[test]
#[ignore = "run by nothing_is_left_when_the_owner_is_killed"]
fn owner_that_is_killed() -> Result<()> {
    let cluster = Cluster::builder().fast().start()?;
    println!("base {}", cluster.base_dir().display());
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    let ourselves = std::env::current_exe().expect("a running program has a path");
    let mut owner = Command::new(ourselves)
        .args(["--ignored", "--exact", "owner_that_is_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is an executable");
    let printed = std::io::BufReader::new(owner.stdout.take().expect("it was piped"));
    let base = std::io::BufRead::lines(printed)
        .map_while(|line| line.ok())
        .find_map(|line| line.split_once("base ").map(|(_, base)| base.to_owned()))
        .expect("it prints its directory");
    assert!(Path::new(&base).exists());
    owner.kill().expect("it is ours");
    owner.wait().expect("it is ours");
    let deadline = Instant::now() + Duration::from_secs(30);
    while Path::new(&base).exists() {
        assert!(Instant::now() < deadline, "{base} is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
}
